// All text of the page that comes from files. It is put in as text, never as markup.

const element = (id) => document.getElementById(id);

function make(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function describe({ title, motions }) {
  document.title = title;
  for (const { title, lines } of motions) {
    const about = make("section", "", "about");
    const list = make("p", "");
    for (const [name, value] of lines) {
      const entry = make("span", "");
      entry.append(make("b", name), ` ${value}`);
      list.append(entry);
    }
    about.append(make("h1", title), list);
    element("abouts").append(about);
  }
}

/** Say something above the controls; nothing in the place of `instead` takes that back, but not another note. */
export function note(text, instead) {
  if (!text && element("note").textContent !== instead) return;
  element("note").textContent = text;
  element("note").hidden = !text;
}

export function fail(text) {
  document.body.dataset.state = "failed";
  element("message").textContent = text;
  element("message").hidden = false;
}

/** Prompts as bars under the scrubber, a row for each part of the body; a click goes to where one begins. */
export function showMarks({ duration, motions }, { seek }) {
  const marks = motions.flatMap((motion) => motion.prompts).filter((mark) => mark.start < duration);
  for (const part of new Set(marks.map((mark) => mark.part))) {
    const row = make("div", "", "row");
    for (const { text, start, end } of marks.filter((mark) => mark.part === part)) {
      const mark = make("button", `${part}: ${text}`);
      mark.type = "button";
      mark.title = mark.textContent;
      mark.style.left = `${(100 * start) / duration}%`;
      mark.style.width = `${(100 * (Math.min(end ?? duration, duration) - start)) / duration}%`;
      mark.addEventListener("click", () => seek(start));
      row.append(mark);
    }
    element("marks").append(row);
  }
  element("marks").hidden = !marks.length;
}

const PAUSE_S = 0.6; // that ends a phrase
const MOST_WORDS = 9; // of a phrase

/** What is being said, a phrase at a time; returns what shows it at a time. */
export function showWords({ words }) {
  const phrases = [];
  for (const [text, start, end] of words) {
    const last = phrases.at(-1);
    const goesOn = last && start - last.end < PAUSE_S && last.words.length < MOST_WORDS;
    const phrase = goesOn ? last : { start, words: [] };
    if (!goesOn) phrases.push(phrase);
    phrase.words.push({ text, start });
    phrase.end = end;
  }
  let shown; // the phrase that is there now
  element("words").hidden = !words.length;
  return (time) => {
    const phrase = phrases.findLast(({ start, end }) => start <= time && time < end + PAUSE_S);
    if (phrase !== shown) element("words").replaceChildren(...(phrase?.words ?? []).map(({ text }) => make("span", text)));
    shown = phrase;
    phrase?.words.forEach(({ start }, i) => element("words").children[i].classList.toggle("said", start <= time));
  };
}
