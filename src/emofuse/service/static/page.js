"use strict";

const $ = (id) => document.getElementById(id);
const COLOURS = ["#c0392b", "#7d8c2f", "#7b4fb5", "#d99a00", "#8a93a3", "#2f6fc9", "#d1568f", "#1f9a8a", "#a0643a"];
const LIVE = { hop: 0.5, window: 3, fps: 5, width: 640, height: 360, rate: 16000 };
let model = { labels: [], limits: { seconds: 60 } };
const NEAR = 0.25; // seconds that a face may be away from the moment that is shown
let camera = null;
let answers = []; // of the windows of a film
let people = [];
let newest = 0; // moment that was answered last, by the camera's clock

const percent = (share) => `${Math.round(share * 100)}%`;
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const colour = (label) => COLOURS[Math.max(0, model.labels.indexOf(label)) % COLOURS.length];
const best = (probabilities) => Object.entries(probabilities).sort((a, b) => b[1] - a[1])[0];

const unfamiliar = (answer) =>
  Object.entries(answer.modalities).filter(([, use]) => use.unfamiliar).map(([name]) => name).join(", ");

function make(tag, text = "", properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: text }, properties);
}

function bar(share) {
  const outer = make("div", "", { className: "bar" });
  const inner = make("div");
  inner.style.width = `${share * 100}%`;
  outer.append(inner);
  outer.setAttribute("aria-hidden", "true");
  return outer;
}

function row(name, ...cells) {
  const line = make("tr");
  line.append(make("th", name, { scope: "row" }), ...cells);
  return line;
}

function drawn(share) {
  const cell = make("td", "", { className: "drawn" });
  cell.append(bar(share));
  return cell;
}

// Where people are over the video, whose picture has black bars at its sides or above and below it.
function placeFaces() {
  const video = $("shown");
  const moment = camera ? newest : video.currentTime;
  const scale = Math.min(video.clientWidth / video.videoWidth, video.clientHeight / video.videoHeight);
  const [width, height] = [video.videoWidth * scale, video.videoHeight * scale];
  const [left, top] = [(video.clientWidth - width) / 2, (video.clientHeight - height) / 2];
  const all = Number.isFinite(scale) ? people.flatMap((person) => person.faces.map((face) => ({ person, face }))) : [];
  const away = Math.min(...all.map(({ face }) => Math.abs(face.time - moment)));
  const near = all.filter(({ face }) => away <= NEAR && Math.abs(face.time - moment) === away);
  const boxes = near.map(({ person, face }) => {
    const title = `speaks: ${percent(person.speaks)}`;
    const box = make("div", "", { className: person.speaker ? "face speaker" : "face", title });
    Object.assign(box.style, {
      left: `${left + face.left * width}px`, top: `${top + face.top * height}px`,
      width: `${face.width * width}px`, height: `${face.height * height}px`,
    });
    return box;
  });
  $("faces").replaceChildren(...boxes);
}

function keepPlacing() {
  placeFaces();
  if (!$("shown").paused && !camera) requestAnimationFrame(keepPlacing);
}

function showPeople(all) {
  people = all;
  const looked = people.filter((person) => person.speaker);
  const frames = looked.reduce((sum, person) => sum + person.faces.length, 0);
  const others = people.length - looked.length;
  $("seen").hidden = !people.length || Boolean(camera);
  $("seen").textContent = `Framed: the face that was looked at, found in ${frames} frames` +
    (others ? `; thin frames: ${others} more` : "");
  placeFaces();
}

const heardWords = (heard) =>
  heard.text ? `Heard (${percent(heard.confidence)} sure): ${heard.text}` : `Heard nothing: ${heard.reason}`;

// A stack of the classes' probabilities for each window; [x, y, width, height, colour] of each part.
const CHART = { width: 900, height: 240, text: 20 };

function chartParts() {
  const end = Math.max(...answers.map((answer) => answer.end));
  return answers.flatMap((answer) => {
    let top = 0;
    return model.labels.map((label) => {
      const share = answer.probabilities[label] * (CHART.height - CHART.text);
      top += share;
      const [x, width] = [answer.start, answer.end - answer.start].map((seconds) => (seconds / end) * CHART.width);
      return [x, top - share, width, share, colour(label)];
    });
  });
}

function chartTexts() {
  const end = clock(Math.max(...answers.map((answer) => answer.end)));
  const step = CHART.width / (model.labels.length + 2);
  return [["0:00", 0, "#7a8396"], ...model.labels.map((label, at) => [label, (at + 1) * step, colour(label)]),
    [end, CHART.width - 40, "#7a8396"]];
}

function svgPart(tag, properties, text = "") {
  const part = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) part.setAttribute(name, value);
  part.textContent = text;
  return part;
}

function drawChart() {
  $("chart").removeAttribute("hidden"); // an SVG has no property of that name
  $("chart").setAttribute("viewBox", `0 0 ${CHART.width} ${CHART.height}`);
  $("chart").replaceChildren(
    ...chartParts().map(([x, y, width, height, fill]) => svgPart("rect", { x, y, width, height, fill })),
    ...chartTexts().map(([text, x, fill]) =>
      svgPart("text", { x, y: CHART.height - 5, fill, "font-size": 14, "font-family": "sans-serif" }, text)),
  );
}

function save(blob, name) {
  const link = make("a", "", { href: URL.createObjectURL(blob), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

function savePng() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 2 * CHART.width, height: 2 * CHART.height });
  const pen = canvas.getContext("2d");
  pen.scale(2, 2);
  for (const [x, y, width, height, fill] of chartParts()) {
    pen.fillStyle = fill;
    pen.fillRect(x, y, width, height);
  }
  pen.font = "14px sans-serif";
  for (const [text, x, fill] of chartTexts()) {
    pen.fillStyle = fill;
    pen.fillText(text, x, CHART.height - 5);
  }
  canvas.toBlob((blob) => save(blob, "emotions.png"));
}

function saveSvg() {
  const text = new XMLSerializer().serializeToString($("chart"));
  save(new Blob([text], { type: "image/svg+xml" }), "emotions.svg");
}

// The table and the subtitles are as `emofuse timeline --out` writes them.
function saveCsv() {
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const shares = model.labels.map((label) => `p_${label}`);
  const heading = ["start", "end", "speaker", "text", "confidence", "label", ...shares, "unfamiliar"];
  const rows = answers.map((answer) => [answer.start, answer.end, answer.speaker ?? "", answer.text, answer.heard?.confidence ?? "",
    answer.label, ...model.labels.map((label) => answer.probabilities[label]), unfamiliar(answer)]);
  const text = [heading, ...rows].map((cells) => cells.map((value) => cell(String(value))).join(",") + "\r\n").join("");
  save(new Blob([text], { type: "text/csv" }), "emotions.csv");
}

function saveJson() {
  save(new Blob([JSON.stringify(answers, null, 1)], { type: "application/json" }), "emotions.json");
}

function saveSubtitles(kind) {
  const mark = kind === "srt" ? "," : ".";
  const stamp = (seconds) => new Date(Math.round(seconds * 1000)).toISOString().slice(11, 23).replace(".", mark);
  // In SRT a name before the words can't be told from them, but for those that voices were told apart by.
  const voice = ({ speaker, voices }) => (kind === "vtt" && speaker ? `<v ${speaker}>` : voices ? `${speaker}: ` : "");
  const words = ({ label, probabilities, text }) => `[${label} ${percent(probabilities[label])}] ${text}`.trim();
  const shown = (answer) => (voice(answer) + words(answer)).replaceAll("{", "(").replaceAll("}", ")"); // else commands
  const blocks = answers.map((answer, at) =>
    `${at + 1}\n${stamp(answer.start)} --> ${stamp(answer.end)}\n${shown(answer)}\n`);
  save(new Blob([[...(kind === "vtt" ? ["WEBVTT\n"] : []), ...blocks].join("\n")]), `emotions.${kind}`);
}

function show(answer) {
  $("result").hidden = false;
  $("label").textContent = answer.label;
  const doubt = answer.note || (answer.uncertain ? "uncertain" : "");
  $("score").textContent = percent(answer.probabilities[answer.label]) + (doubt && `, ${doubt}`);
  const strange = unfamiliar(answer);
  $("unfamiliar").hidden = !strange;
  $("unfamiliar").textContent = `Unlike all that the model has learnt from: ${strange}. Don't believe the answer.`;
  $("heard").hidden = !answer.heard;
  if (answer.heard) $("heard").textContent = heardWords(answer.heard);
  const classes = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  $("classes").tBodies[0].replaceChildren(
    ...classes.map(([name, share]) => row(name, drawn(share), make("td", percent(share), { className: "number" }))),
  );
  $("modalities").tBodies[0].replaceChildren(
    ...Object.entries(answer.modalities).map(([name, use]) => {
      const said = use.present ? best(use.probabilities) : null;
      const words = said ? `${said[0]}, ${percent(said[1])}` : `absent: ${use.reason}`;
      const share = make("td", percent(use.weight));
      share.append(bar(use.weight));
      return row(name, make("td", words), share);
    }),
  );
  const steps = Object.entries(answer.seconds).filter(([name]) => name !== "total" && name !== "workers");
  $("time").textContent =
    `${Math.round(answer.seconds.total * 1000)} ms: ` +
    steps.map(([name, spent]) => `${name} ${Math.round(spent * 1000)}`).join(", ");
}

function tell(status, error = "") {
  $("status").textContent = status;
  $("error").textContent = error;
}

async function ask(path, body) {
  const key = $("key").value;
  const answer = await fetch(path, { method: "POST", body, headers: key ? { "X-API-Key": key } : {} });
  if (answer.ok) {
    if (!model.labels.length) await about(); // which needs the key, too
    return answer;
  }
  if (answer.status === 401) for (const part of document.querySelectorAll(".key")) part.hidden = false;
  let told = `status ${answer.status}`;
  try {
    told = (await answer.json()).error;
  } catch {
    // no JSON: something between here and the service answered
  }
  throw new Error(told);
}

function context() {
  const lines = $("before").value.split("\n").filter((line) => line.trim()).map((line) => {
    const [, speaker, text] = line.match(/^([^:]{1,40}):\s*(.+)$/) ?? [null, null, line];
    return { speaker, text };
  });
  const speaker = $("speaker").value.trim() || null;
  return lines.length || speaker ? JSON.stringify({ lines, speaker }) : null;
}

async function predict(file) {
  const form = new FormData();
  if (file) form.append(file.type.startsWith("audio/") ? "audio" : "video", file);
  if ($("said").value.trim()) form.append("utterance", $("said").value);
  if (context()) form.append("context", context());
  if ($("transcribe").checked) form.append("transcribe", "true");
  const answer = await (await ask("predict", form)).json();
  show(answer);
  showPeople(answer.people);
  tell(`${$("label").textContent}, ${$("score").textContent}`);
  $("timeline").hidden = true;
}

async function timeline(file) {
  const form = new FormData();
  form.append("video", file);
  if ($("transcribe").checked && !$("window").value && !$("transcript").files[0]) {
    form.append("transcribe", "true");
    if (toldApart()) form.append("speakers", "true");
    if (toldApart() && $("count").value) form.append("speaker_count", $("count").value);
  }
  if ($("window").value) form.append("window", $("window").value);
  if ($("transcript").files[0]) form.append("transcript", await $("transcript").files[0].text());
  const answer = await ask("timeline", form);
  showPeople([]);
  answers = [];
  $("strip").replaceChildren();
  $("windows").replaceChildren();
  $("legend").replaceChildren();
  $("timeline").hidden = true; // until there is something to show
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop();
    lines.forEach((line) => addWindow(JSON.parse(line)));
    if (done) return;
  }
}

// Every ten seconds of the film, so that a screen reader has time to say it.
function tellHeard(seconds) {
  const whole = $("shown").duration; // not a number where the browser can't play the film
  const status = `Listening: ${clock(10 * Math.floor(seconds / 10))}${Number.isFinite(whole) ? ` of ${clock(whole)}` : ""}`;
  if ($("status").textContent !== status) tell(status);
}

function addWindow(answer) {
  if (answer.error) throw new Error(answer.error);
  if (answer.windows === 0 && $("transcribe").checked) return tell("", "No speech was heard");
  if (answer.windows !== undefined) {
    tell(`${answer.windows} windows, ${clock(answer.video_seconds)} of video in ${answer.seconds.toFixed(1)} s`);
    return;
  }
  if (answer.listened !== undefined) return tellHeard(answer.listened);
  $("timeline").hidden = false;
  showPeople([...people, ...answer.people]);
  const part = make("div", "", { title: `${clock(answer.start)} ${answer.label}` });
  part.style.background = colour(answer.label);
  part.style.opacity = 0.35 + 0.65 * answer.probabilities[answer.label];
  part.style.flexGrow = answer.end - answer.start;
  $("strip").append(part);
  if (![...$("legend").children].some((known) => known.textContent === answer.label)) {
    const known = make("span", answer.label);
    const mark = make("i");
    mark.style.background = colour(answer.label);
    known.prepend(mark);
    $("legend").append(known);
  }
  answers.push(answer);
  drawChart();
  const button = make("button", `${clock(answer.start)} to ${clock(answer.end)}: ${answer.label} `, { type: "button" });
  const words = answer.note || (answer.heard ? heardWords(answer.heard) : answer.text);
  const sure = `${percent(answer.probabilities[answer.label])}${unfamiliar(answer) && ", unfamiliar"}`;
  button.append(make("small", `${sure}${words && "; "}${answer.speaker ? `${answer.speaker}: ` : ""}${words}`));
  button.addEventListener("click", () => {
    $("shown").currentTime = answer.start;
    show(answer);
  });
  const item = make("li");
  item.append(button);
  $("windows").append(item);
  tell(`${clock(answer.end)} answered`);
}

const toldApart = () => $("transcribe").checked && $("speakers").checked;

function offerSpeakers() {
  $("who").hidden = !$("transcribe").checked;
  $("how-many").hidden = $("count").disabled = !toldApart(); // what is out of range in it would else stop the form
}

function choose(file) {
  stopCamera();
  tell("");
  $("limit").textContent = file ? file.name : "a video or a sound file";
  showPeople([]);
  if ($("shown").src) URL.revokeObjectURL($("shown").src);
  $("stage").hidden = !file;
  if (file) $("shown").src = URL.createObjectURL(file);
}

async function send(event) {
  event.preventDefault();
  const file = $("file").files[0];
  tell("Working…");
  $("send").disabled = true;
  try {
    const apart = toldApart() && !$("said").value.trim();
    const long = file && ($("shown").duration > model.limits.seconds || $("transcript").files[0] || $("window").value || apart);
    await (long ? timeline(file) : predict(file));
  } catch (error) {
    tell("", error.message);
  } finally {
    $("send").disabled = false;
  }
}

const packed = (kind, time, bytes) => new Blob([JSON.stringify({ kind, time }), "\n", bytes]);

async function startCamera() {
  const media = await navigator.mediaDevices.getUserMedia({
    video: { width: LIVE.width, height: LIVE.height }, audio: true,
  });
  const video = $("shown");
  $("stage").hidden = false;
  video.removeAttribute("src");
  video.srcObject = media;
  await video.play();
  const sound = new AudioContext({ sampleRate: LIVE.rate });
  const socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
  camera = { media, socket, sound };
  const picture = Object.assign(document.createElement("canvas"), { width: LIVE.width, height: LIVE.height });
  const began = performance.now();
  const now = () => (performance.now() - began) / 1000;
  const put = (message) => {
    if (socket.readyState === WebSocket.OPEN && socket.bufferedAmount < 1e6) socket.send(message);
  };
  const said = () => put(JSON.stringify({ utterance: $("said").value }));
  socket.addEventListener("open", () => {
    const transcribe = $("transcribe").checked;
    put(JSON.stringify({ hop: LIVE.hop, window: LIVE.window, sample_rate: LIVE.rate, key: $("key").value || null, transcribe }));
    said();
  });
  let heard = null; // the newest words, which come in messages of their own
  socket.addEventListener("message", (event) => {
    const answer = JSON.parse(event.data);
    if (answer.error) return tell("", answer.error);
    if (!answer.label) return void (heard = answer.heard);
    show({ ...answer, heard });
    newest = answer.time;
    showPeople(answer.people);
    $("status").textContent = `live, ${Math.round(answer.latency * 1000)} ms behind`;
  });
  socket.addEventListener("close", () => stopCamera());
  $("said").oninput = said;
  camera.timer = setInterval(() => {
    picture.getContext("2d").drawImage(video, 0, 0, LIVE.width, LIVE.height);
    const time = now();
    picture.toBlob((blob) => blob && put(packed("frame", time, blob)), "image/jpeg", 0.8);
  }, 1000 / LIVE.fps);
  await sound.audioWorklet.addModule("sound.js");
  const worklet = new AudioWorkletNode(sound, "sound");
  worklet.port.onmessage = ({ data }) => put(packed("sound", now() - data.byteLength / 2 / LIVE.rate, data));
  sound.createMediaStreamSource(media).connect(worklet);
}

function stopCamera() {
  if (!camera) return;
  const { media, socket, sound, timer } = camera;
  camera = null;
  clearInterval(timer);
  socket.close();
  sound.close();
  for (const track of media.getTracks()) track.stop();
  $("shown").srcObject = null;
  $("stage").hidden = true;
  showPeople([]);
  $("said").oninput = null;
  $("camera").textContent = "Start camera";
  $("camera").setAttribute("aria-pressed", "false");
  $("status").removeAttribute("aria-live");
  $("status").setAttribute("aria-live", "polite");
}

async function toggleCamera() {
  if (camera) return stopCamera();
  tell("Starting the camera…");
  $("camera").textContent = "Stop camera";
  $("camera").setAttribute("aria-pressed", "true");
  $("status").setAttribute("aria-live", "off"); // twice a second would drown a screen reader
  try {
    await startCamera();
  } catch (error) {
    tell("", `The camera can't be used: ${error.message}`);
    camera ??= null;
    $("camera").textContent = "Start camera";
    $("camera").setAttribute("aria-pressed", "false");
  }
}

// Who was trained and measured on, and the scores there and elsewhere.
function measuredLines() {
  const scores = (all) => Object.entries(all).map(([name, value]) => `${name.replaceAll("_", " ")} ${value?.toFixed(3)}`);
  const home = scores(model.metrics).filter((score) => score.startsWith("test "));
  const alarms = model.false_alarms;
  return [
    ...(model.learnt_from.corpus ? [model.learnt_from.protocol] : []),
    ...(home.length ? [`At home: ${home.join(", ")}.`] : []),
    ...model.elsewhere.map((each) => `On ${each.data}, ${each.rows} rows: ${scores(each.scores).join(", ")}.`),
    alarms === null ? "It can't tell what is unlike all that it has learnt from."
      : `Marked as unlike it without reason: ${(100 * alarms).toFixed(1)}% of rows that were held out.`,
  ];
}

async function about() {
  const key = $("key").value;
  const answer = await fetch("model", { headers: key ? { "X-API-Key": key } : {} });
  if (!answer.ok) return;
  model = await answer.json();
  $("hear").hidden = !model.recogniser;
  $("about").textContent = `${model.name} fusion of ${model.modalities.join(", ")}; version ${model.version.slice(0, 8)}`;
  $("learnt").hidden = false;
  $("learnt").textContent = `Trained on ${model.trained_on}`;
  $("measured").hidden = false;
  $("measured").append(...measuredLines().map((line) => make("p", line)));
  $("synthetic").hidden = !model.synthetic;
  $("origin").textContent = model.synthetic
    ? "The model has learnt how drawn faces look and a synthetic voice speaks."
    : "The model has learnt how labelled people in labelled clips speak and look.";
}

$("form").addEventListener("submit", send);
$("save-svg").addEventListener("click", saveSvg);
$("save-png").addEventListener("click", savePng);
$("save-csv").addEventListener("click", saveCsv);
$("save-json").addEventListener("click", saveJson);
for (const kind of ["srt", "vtt"]) $(`save-${kind}`).addEventListener("click", () => saveSubtitles(kind));
for (const name of ["transcribe", "speakers"]) $(name).addEventListener("change", offerSpeakers);
$("camera").addEventListener("click", toggleCamera);
$("file").addEventListener("change", () => choose($("file").files[0]));
$("shown").addEventListener("play", keepPlacing);
for (const name of ["seeked", "loadedmetadata", "resize"]) $("shown").addEventListener(name, placeFaces);
new ResizeObserver(placeFaces).observe($("shown"));
for (const name of ["dragenter", "dragover"]) $("drop").addEventListener(name, () => $("drop").classList.add("over"));
for (const name of ["dragleave", "drop"]) $("drop").addEventListener(name, () => $("drop").classList.remove("over"));
about();
