// The buttons under two players: both play, pause or begin again at once. The second one is muted: two voices at once
// are none.
const players = () => [...element.querySelectorAll("iframe")].map((frame) => frame.contentWindow);

element.addEventListener("click", (event) => {
  const action = event.target.closest("[data-both]")?.dataset.both;
  if (!action) return;
  players().forEach((player, index) => {
    if (!player.cospeech?.play) return; // still loading
    const sound = player.document.getElementById("sound-toggle");
    if (index > 0 && sound?.getAttribute("aria-pressed") === "true") sound.click();
    if (action === "start") player.cospeech.seek(0);
    else player.cospeech.seek(players()[0].cospeech.currentTime);
    if (action === "pause") player.cospeech.pause();
    else player.cospeech.play();
  });
});
