// Reads a VietQR with the phone's camera: frames go to the sandbox as JPEG until one holds a code.
"use strict";

const FRAME_EVERY_MS = 400;
const FRAME_WIDTH_MAX = 960;

const box = document.getElementById("camera");
const video = document.getElementById("viewfinder");
const startButton = document.getElementById("camera-start");
const stopButton = document.getElementById("camera-stop");
const note = document.getElementById("camera-note");
let stream = null;

if (navigator.mediaDevices && navigator.mediaDevices.getUserMedia) {
  box.hidden = false;
  startButton.addEventListener("click", start);
  stopButton.addEventListener("click", stop);
}

async function start() {
  note.textContent = "";
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    note.textContent = box.dataset.refused;
    return;
  }
  video.srcObject = stream;
  show(true);
  await video.play();
  while (stream) {
    const payload = await readFrame();
    if (payload && stream) {
      stop();
      document.getElementById("payload").value = payload;
      document.getElementById("scan").requestSubmit();
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, FRAME_EVERY_MS));
  }
}

function stop() {
  for (const track of stream ? stream.getTracks() : []) track.stop();
  stream = null;
  show(false);
}

function show(isOn) {
  video.hidden = !isOn;
  stopButton.hidden = !isOn;
  startButton.hidden = isOn;
}

async function readFrame() {
  if (!video.videoWidth) return "";
  const scale = Math.min(1, FRAME_WIDTH_MAX / video.videoWidth);
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  const frame = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.8));
  if (!frame) return "";
  try {
    const answer = await fetch("/app/decode", { method: "POST", body: frame });
    return answer.ok ? (await answer.json()).payload : "";
  } catch {
    return "";
  }
}
