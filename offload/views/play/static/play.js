/* The page: settings go to the server, its answers are shown, or asked for first. */
import { charts } from "./bars.js";
import { controls } from "./controls.js";
import { simulate } from "./live.js";

const CUTS_MS = 60; // after the last move of a slider
const LIVE_MS = 500;

const $ = (id) => document.getElementById(id);
const digits = (value) => Number(value.toPrecision(3)).toString();

/* What was asked, whether it is still hidden, and how many guesses of how many were right. */
const game = { answer: null, open: false, asked: 0, right: 0 };

async function begin() {
  const choices = await (await fetch("/api/choices")).json();
  const draw = charts($("latency"), $("energy"), choices.legs, (row) => {
    if (game.open) judge(row, draw);
  });
  const now = controls($("controls"), choices, changed);
  const cuts = after(CUTS_MS, (signal) => ask(now, signal, (answer) => show(answer, choices.legs, draw)));
  const live = after(LIVE_MS, (signal) => simulate(now, signal, {
    body: $("live").tBodies[0], table: $("live"), status: $("status"),
  }));

  function changed() {
    cuts();
    live();
  }
  $("predict").addEventListener("change", () => show(game.answer, choices.legs, draw));
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("guess").addEventListener("submit", (event) => {
    event.preventDefault();
    if (game.open) judge(Number($("guessed").value), draw);
  });
  changed();
}

/* Call something a while after the last wish; a new wish ends what the old one is at. */
function after(wait, work) {
  let timer = 0;
  let old = new AbortController();
  return () => {
    clearTimeout(timer);
    old.abort();
    timer = setTimeout(() => {
      old = new AbortController();
      work(old.signal).catch((error) => {
        if (error.name !== "AbortError") fail([`the server does not answer (${error.message})`]);
      });
    }, wait);
  };
}

async function ask(now, signal, then) {
  const reply = await fetch("/api/cuts", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(now), signal,
  });
  const told = await reply.json();
  if (reply.ok) then(told);
  else fail(told.errors);
}

function fail(errors) {
  $("errors").textContent = errors.join("\n");
  $("errors").hidden = false;
}

function show(answer, legs, draw) {
  if (!answer) return;
  game.answer = answer;
  game.open = $("predict").checked;
  $("errors").hidden = true;
  $("rate").textContent = answer.rate;
  $("world").textContent = answer.world;
  fillTable(answer, legs);
  fillSources(answer.sources);
  $("judged").hidden = true;
  $("guess").hidden = !$("predict").checked;
  $("table").hidden = game.open;
  if (game.open) {
    fillGuesses(answer.bars);
    $("says").textContent = "Which cut is best? Click where you expect it, or choose from the list.";
    $("why").textContent = "";
    $("latency").setAttribute("aria-label", "The bars are hidden until you guess");
  } else {
    reveal();
  }
  picture(draw);
}

function reveal() {
  const { says, why } = game.answer;
  $("says").textContent = says;
  $("why").textContent = why;
  $("table").hidden = false;
  $("latency").setAttribute("aria-label", `Stacked bars of latency, one a cut. ${says}`);
}

function judge(row, draw) {
  const bar = game.answer.bars[row];
  game.open = false;
  game.asked += 1;
  game.right += bar.right ? 1 : 0;
  $("guessed").value = row;
  $("judged").hidden = false; // first, or it would not be read out
  $("judged").textContent = `${bar.right ? "Right." : "Not the best."} ${bar.told}`;
  $("judged").className = bar.right ? "right" : "wrong";
  $("score").textContent = `${game.right} of ${game.asked} right`;
  reveal();
  picture(draw, row);
}

function picture(draw, guess = null) {
  $("cut-off").hidden = !draw(game.answer, { hidden: game.open, guess });
}

function fillGuesses(bars) {
  $("guessed").replaceChildren(
    ...bars.map(({ place, crossing_bytes: size }, row) => {
      const crosses = size ? `, ${digits(size / 1e3)} kB cross` : "";
      return new Option(`${place}${crosses}`, row);
    }),
  );
}

function fillTable({ bars, best }, legs) {
  const heads = ["cut", "layers", "after", "kB cross", ...legs.map((leg) => `${leg.name}, ms`), "in all, ms", "mJ"];
  const table = $("table").querySelector("table");
  table.tHead.replaceChildren(line("th", heads));
  table.tBodies[0].replaceChildren(
    ...bars.map((bar, row) => {
      const figures = [...bar.legs_s.map((s) => 1e3 * s), 1e3 * bar.latency_s, 1e3 * bar.energy_j];
      const cells = [bar.cut, bar.after, bar.layer, digits(bar.crossing_bytes / 1e3), ...figures.map(digits)];
      const made = line("td", cells);
      made.className = row === best ? "best" : "";
      return made;
    }),
  );
}

function fillSources(sources) {
  $("sources").tBodies[0].replaceChildren(
    ...sources.map(({ what, known, source, error }) => line("td", [what, known, source, error])),
  );
}

function line(kind, texts) {
  const made = document.createElement("tr");
  for (const text of texts) {
    const cell = document.createElement(kind);
    cell.textContent = text;
    made.append(cell);
  }
  return made;
}

begin().catch((error) => fail([`the page could not begin (${error.message})`]));
