// Ties the buttons of parts.speaker() to a Speaker and shows only those that fit its state.

/**
 * @param {import("./sound.js").Speaker} speaker
 * @param {ParentNode} root where the buttons are
 */
export function bindControls(speaker, root = document) {
  const actions = {
    unlock: async () => {
      await speaker.unlock();
      speaker.keepAwake();
      speaker.test(); // the first tap is answered aloud: the vendor knows that the speaker works
    },
    replay: () => speaker.replay(),
    test: () => speaker.test(),
    mute: () => speaker.mute(true),
    unmute: () => speaker.mute(false),
  };
  root.addEventListener("click", (event) => {
    const name = event.target.closest("[data-sound]")?.dataset.sound;
    if (name in actions) actions[name]();
  });
  root.addEventListener("input", (event) => {
    if (event.target.dataset.sound === "volume") speaker.setVolume(Number(event.target.value));
  });
  const show = () => {
    for (const part of root.querySelectorAll("[data-sound-when]")) {
      part.hidden = !part.dataset.soundWhen.split(" ").includes(speaker.state);
    }
    for (const range of root.querySelectorAll("[data-sound=volume]")) range.value = speaker.volume;
  };
  document.addEventListener("phopay:speaker", show);
  show();
}
