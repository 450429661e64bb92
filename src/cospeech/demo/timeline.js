// The table of words with times. Its value is the list that `cospeech generate --timeline` takes; rows without words are
// left out. Rows are made of elements, never of markup: what is typed stays text.
const { parts, longest, strongest } = props;
const rows = element.querySelector(".rows");
const names = { upper: "upper body", hands: "hands", lower: "legs", whole: "whole body" };

function make(tag, attributes, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}
function field(label, input) {
  return make("label", { className: `field ${input.name}` }, make("span", { textContent: label }), input);
}
function number(name, value, more) {
  return make("input", { type: "number", name, min: 0, step: 0.1, value: value ?? "", inputMode: "decimal", ...more });
}

function row({ part = "upper", text = "", start = 0, end = null, strength = 1 } = {}) {
  const choice = make("select", { name: "part" });
  for (const each of parts) choice.append(make("option", { value: each, textContent: names[each] ?? each }));
  choice.value = part;
  const remove = make("button", { type: "button", textContent: "Remove", className: "remove" });
  const made = make(
    "fieldset",
    {},
    field("Part", choice),
    field("Words", make("input", { type: "text", name: "text", value: text, maxLength: longest })),
    field("From", number("start", start)),
    field("To", number("end", end, { placeholder: "end" })),
    field("Strength", number("strength", strength, { max: strongest })),
    remove,
  );
  remove.addEventListener("click", () => {
    made.remove();
    keep();
    add.focus();
  });
  rows.append(made);
  return made;
}

function read() {
  return [...rows.children]
    .map((made) => {
      const of = (name) => made.querySelector(`[name=${name}]`);
      const filled = (name, empty) => (Number.isNaN(of(name).valueAsNumber) ? empty : of(name).valueAsNumber);
      const [start, end, strength] = [filled("start", 0), filled("end", null), filled("strength", 1)];
      return { part: of("part").value, text: of("text").value.trim(), start, end, strength };
    })
    .filter(({ text }) => text);
}
function keep() {
  props.value = read();
}
function show() {
  if (JSON.stringify(props.value ?? []) === JSON.stringify(read())) return; // as it was typed here
  rows.replaceChildren();
  for (const prompt of props.value ?? []) row(prompt);
}

const add = make("button", { type: "button", textContent: "Add words with times", className: "add" });
add.addEventListener("click", () => {
  const last = read().at(-1);
  row({ part: last?.part, start: last?.end ?? 0 }).querySelector("[name=text]").focus();
});
rows.after(add, make("p", { className: "hint", textContent: "Times are seconds of the speech." }));
rows.addEventListener("input", keep);
watch("value", show);
show();
