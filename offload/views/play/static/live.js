/* The table of policies, filled as a simulation tells what it came to. */
export async function simulate(asked, signal, parts) {
  say(parts.status, "simulating …", true);
  try {
    await tell(asked, signal, parts);
  } catch (error) {
    if (error.name !== "AbortError") say(parts.status, "");
    throw error;
  }
}

async function tell(asked, signal, parts) {
  const answer = await fetch("/api/simulate", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(asked), signal,
  });
  if (!answer.ok) {
    say(parts.status, "");
    return;
  }
  for await (const told of lines(answer.body)) {
    if (told === null) say(parts.status, "Dropped: another page has asked since.");
    else if (told.errors) say(parts.status, told.errors.join(" "));
    else show(told, parts);
  }
}

/* What is said while it is under way is to be seen, and only the end to be read out. */
function say(status, text, underWay = false) {
  status.setAttribute("aria-busy", underWay);
  status.textContent = text;
}

/* Objects, one a line, as they come. */
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const line of parts) yield JSON.parse(line);
  }
}

function show({ replications, of, rows, says }, { body, status, table }) {
  body.replaceChildren(...rows.map(line));
  table.dataset.replications = replications;
  const more = replications < of;
  say(status, more ? `${replications} of ${of} replications …` : says, more);
}

function line({ label, says, colour, on_time, on_time_text, mean_ms, p95_ms, energy_mj, notes }) {
  const made = document.createElement("tr");
  const head = cell("th", label);
  const meaning = document.createElement("small");
  const swatch = document.createElement("span");
  head.scope = "row";
  meaning.textContent = says;
  swatch.className = "swatch";
  swatch.style.backgroundColor = colour;
  head.prepend(swatch);
  head.append(meaning);
  made.append(head, bar(on_time, colour));
  made.append(...[on_time_text, mean_ms, p95_ms, energy_mj].map((text) => cell("td", text, "figure")));
  made.append(cell("td", notes));
  return made;
}

/* The share on time as a bar, and its interval as a thin line on it. */
function bar(share, colour) {
  const made = cell("td", "");
  if (!share) return made;
  const track = document.createElement("span");
  const full = document.createElement("span");
  track.className = "track";
  full.className = "full";
  full.style.width = `${100 * share.mean}%`;
  full.style.backgroundColor = colour;
  track.append(full);
  if (share.low !== null) {
    const half = document.createElement("span");
    const [low, high] = [Math.max(0, share.low), Math.min(1, share.high)];
    half.className = "interval";
    half.style.left = `${100 * low}%`;
    half.style.width = `${100 * (high - low)}%`;
    track.append(half);
  }
  track.setAttribute("aria-hidden", "true");
  made.append(track);
  return made;
}

function cell(kind, text, name = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  made.className = name;
  return made;
}
