// The replay: its clock, its controls, and the panel with the last requests of a device.

const LINGERS = 0.35; // seconds on the reader's clock for which an end is marked; less where time flies
const LAST = 6; // requests in the panel

const section = document.querySelector("section.replay");
const told = JSON.parse(section.querySelector(".replay-data").textContent);
const find = (selector) => section.querySelector(selector);
const canvas = find("canvas"), map = find(".replay-stage"), panel = find(".replay-panel");
const controls = find(".replay-controls").elements;
const devices = await readDevices(told);
const scene = makeScene(section, canvas, told, devices);

let requests = null, at = null; // those of the policy that is shown, and which of them are under way
let time = Math.min(Math.max(told.begin_s, told.warm_up_s), told.end_s);
let playing = false, chosen = null, before = 0, panelDrawn = 0, frame = 0, wanted = 0;
// What was drawn last, for the panel and for whoever wants to look inside.
const state = {
  frames: 0, examined: 0, active: 0, counts: null, policy: null,
  get time() { return time; },
  get playing() { return playing; },
};

const speed = () => Number(controls.speed.value);
const ms = (seconds) => `${(seconds * 1e3).toFixed(2)} ms`;

function draw() {
  if (!requests) return;
  const { active, examined } = at(time, LINGERS * Math.min(speed(), 2));
  state.counts = scene.draw(requests, active, time, chosen);
  state.frames++;
  [state.examined, state.active] = [examined, active.length];
  controls.time.value = time;
  controls.time.setAttribute("aria-valuetext", `${time.toFixed(2)} seconds`);
  find(".replay-now").textContent = inWords(state.counts);
  if (!playing || performance.now() - panelDrawn > 250) drawPanel();
}

function inWords({ legs, waiting, total, nodes }) {
  const of = (...names) => told.legs.reduce((sum, leg, i) => sum + (names.includes(leg.name) ? legs[i] : 0), 0);
  const where = `${of("decide", "device")} on devices, ${of("uplink", "downlink")} in the air, ${of("wan")} on wires`;
  const busy = nodes.map(({ name, there, works }) => `${name} ${works} at work, ${there - works} waiting`);
  const warm = time < told.warm_up_s ? " (warming up, not counted)" : "";
  const listed = busy.length <= 4 ? busy.join("; ") : `${of("edge", "cloud")} at nodes`;
  return `${time.toFixed(3)} s${warm}: ${total} under way (${waiting} waiting): ${where}; ${listed}.`;
}

function tick(now) {
  // A page that nobody looked at for a while goes on from where it was; a frame may have begun before
  // it was asked for, and time does not go back.
  const passed = Math.min(Math.max(0, now - before) / 1e3, 0.1);
  time = Math.min(told.end_s, time + passed * speed());
  before = now;
  if (time >= told.end_s) return pause();
  draw();
  frame = requestAnimationFrame(tick);
}

function play() {
  if (time >= told.end_s) time = told.begin_s;
  playing = true;
  controls.play.textContent = "Pause";
  before = performance.now();
  cancelAnimationFrame(frame); // or a second one would draw each frame again
  frame = requestAnimationFrame(tick);
}

function pause() {
  playing = false;
  cancelAnimationFrame(frame);
  controls.play.textContent = "Play";
  show();
}

// Draw once, and say it to those who do not see it.
function show() {
  draw();
  if (state.counts) find(".replay-said").textContent = inWords(state.counts);
}

function seek(to) {
  time = Math.min(told.end_s, Math.max(told.begin_s, to));
  if (playing) draw();
  else show();
}

const step = (steps) => seek(time + 0.1 * speed() * steps);

async function choosePolicy(number) {
  const policy = told.policies[number];
  wanted = number;
  const read = await readRequests(policy, told, devices);
  if (wanted !== number) return; // another was chosen meanwhile
  requests = read;
  at = underWay(requests);
  state.policy = policy.label;
  controls.policy.value = number;
  canvas.setAttribute("aria-label", `Map of ${devices.length} devices, cells and servers under ${policy.label}`);
  show();
}

function chooseDevice(number) {
  chosen = number;
  controls.device.value = number ?? "";
  panel.hidden = number === null;
  show();
}

// The panel: what the device asked for last, leg by leg.
function drawPanel() {
  panelDrawn = performance.now();
  if (chosen === null) return;
  const own = requests.of[chosen];
  const until = upTo(own.map((r) => requests.born[r]), time);
  const title = element("h3", `${devices[chosen].name} under ${state.policy}, at ${time.toFixed(3)} s`);
  const list = element("ol");
  list.append(...own.slice(Math.max(0, until - LAST), until).reverse().map(requestItem));
  panel.replaceChildren(title, until ? list : element("p", `Nothing was asked for since ${+told.begin_s.toFixed(3)} s.`));
}

function requestItem(r) {
  const { id, born, deadline, first, ended } = requests;
  const { task, stage, plan } = requests.kind(r);
  const { cause, onTime } = requests.end(r);
  const item = element("li");
  const latency = ended[r] - born[r];
  const span = Math.max(latency, Number.isFinite(deadline[r]) ? deadline[r] : 0) || 1;
  const bar = element("div", "", "replay-bar");
  const legs = element("p", "", "legs");
  for (let k = first[r]; k < first[r + 1]; k++) {
    const { name, colour } = told.legs[requests.leg(r, k)];
    bar.append(coloured(colour, `${(100 * requests.took[k]) / span}%`));
    const waits = requests.waits[k] > 0 ? ` (${ms(requests.waits[k])} waiting)` : "";
    const one = element("span", `${name} ${ms(requests.took[k])}${waits}`);
    one.dataset.seconds = requests.took[k];
    one.prepend(coloured(colour, "", "key"));
    legs.append(one, " ");
  }
  if (Number.isFinite(deadline[r])) {
    const mark = element("span", "", "deadline");
    mark.style.left = `${(100 * deadline[r]) / span}%`;
    bar.append(mark);
  }
  const became = time < ended[r] ? "under way" : cause ? `lost: ${cause}` : onTime ? "on time" : "late";
  const due = Number.isFinite(deadline[r]) ? `, deadline ${ms(deadline[r])}` : "";
  const head = element("p", `${stage ? `${task}, ${stage}` : task} ${id[r]}, born at ${born[r].toFixed(3)} s: ${plan ?? "no plan"}`);
  const sum = element("p", `in all ${ms(latency)}${due}: `);
  sum.append(element("span", became, time >= ended[r] && !onTime ? "bad" : ""));
  item.dataset.request = id[r];
  item.append(head, bar, legs, sum);
  return item;
}

function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = kind;
  return made;
}

function coloured(colour, width, kind = "") {
  const made = element("span", "", kind);
  made.style.background = colour;
  made.style.width = width;
  return made;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const does = {
    " ": () => (playing ? pause() : play()),
    ArrowRight: () => step(1), ArrowUp: () => step(10),
    ArrowLeft: () => step(-1), ArrowDown: () => step(-10),
    Home: () => seek(told.begin_s), End: () => seek(told.end_s),
  }[event.key];
  if (!does) return;
  event.preventDefault();
  if (event.key !== " " || !event.repeat) does(); // who holds it down wants one change
}

function onClick(event) {
  const box = canvas.getBoundingClientRect();
  chooseDevice(scene.deviceAt(event.clientX - box.left, event.clientY - box.top, time));
}

function fill(select, names) {
  select.append(...names.map((name, i) => new Option(name, i)));
}

function prints(yes) {
  section.classList.toggle("prints", yes);
  scene.dress();
  draw();
}

fill(controls.policy, told.policies.map((policy) => policy.label));
fill(controls.device, devices.map((device) => device.name));
[controls.time.min, controls.time.max] = [told.begin_s, told.end_s];
find(".replay-controls").addEventListener("submit", (event) => event.preventDefault());
controls.play.addEventListener("click", () => (playing ? pause() : play()));
controls.back.addEventListener("click", () => step(-1));
controls.on.addEventListener("click", () => step(1));
controls.time.addEventListener("input", () => seek(Number(controls.time.value)));
controls.policy.addEventListener("change", () => choosePolicy(Number(controls.policy.value)));
controls.device.addEventListener("change", ({ target }) => chooseDevice(target.value ? Number(target.value) : null));
map.addEventListener("keydown", onKey);
canvas.addEventListener("click", onClick);
new ResizeObserver(() => { if (canvas.clientWidth) { scene.fit(); draw(); } }).observe(canvas);
new MutationObserver(() => { scene.dress(); draw(); }).observe(document.documentElement, { attributes: true });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { scene.dress(); draw(); });
window.addEventListener("beforeprint", () => prints(true));
window.addEventListener("afterprint", () => prints(false));

window.offloadReplay = Object.assign(state, { seek, play, pause, choosePolicy, chooseDevice, spotOf: scene.spotOf });

scene.fit();
await choosePolicy(0);
