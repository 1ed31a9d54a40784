/* The controls on the left, made of what the server says may be chosen. */
const GROUPS = ["Network", "Radio", "Request", "Simulation"];

export function controls(form, choices, changed) {
  const now = { ...choices.start };
  const groups = new Map(GROUPS.map((title) => [title, group(form, title)]));

  function choose(name, label, title, options, then = () => {}) {
    const select = document.createElement("select");
    place(groups.get(title), name, label, select);
    fill(select, options, now[name]);
    select.addEventListener("change", () => {
      now[name] = typeof choices.start[name] === "boolean" ? select.value === "true" : select.value;
      then();
      changed();
    });
    return select;
  }

  const names = (list) => list.map((each) => ({ value: each, text: each }));
  choose("network", "Network", "Network", names(Object.keys(choices.networks)), formsOf);
  const variant = choose("variant", "Variant (form)", "Network", [], machinesOf);
  const device = choose("device", "The device's processor", "Network", []);
  const edge = choose("edge", "The edge server's processor", "Network", []);
  choose("radio", "Radio", "Radio", names(Object.keys(choices.radios)), usualBand);
  choose("sight", "Line of sight", "Radio", [
    { value: "true", text: "free" },
    { value: "false", text: "obstructed" },
  ]);
  const sliders = new Map(
    choices.sliders.map((each) => [each.name, slide(groups.get(each.group), each, now, changed)]),
  );

  function formsOf() {
    const forms = Object.keys(choices.networks[now.network]);
    now.variant = forms.includes(now.variant) ? now.variant : forms[0];
    fill(variant, names(forms), now.variant);
    machinesOf();
  }

  // Hardware of which nobody knows what this form takes there cannot be chosen.
  function machinesOf() {
    const known = choices.networks[now.network][now.variant];
    for (const [name, select] of [["device", device], ["edge", edge]]) {
      now[name] = known.includes(now[name]) ? now[name] : known[0];
      const options = choices.hardware.map((each) => ({
        value: each, text: known.includes(each) ? each : `${each} (not known)`, disabled: !known.includes(each),
      }));
      fill(select, options, now[name]);
    }
  }

  function usualBand() {
    sliders.get("bandwidth_hz")(choices.radios[now.radio]);
  }

  formsOf();
  return now;
}

function group(form, title) {
  const set = document.createElement("fieldset");
  const legend = document.createElement("legend");
  legend.textContent = title;
  set.append(legend);
  form.append(set);
  return set;
}

function place(set, name, label, control, ...more) {
  const box = document.createElement("div");
  const head = document.createElement("label");
  control.id = `control-${name}`;
  head.htmlFor = control.id;
  head.textContent = label;
  box.className = "control";
  box.append(head, control, ...more);
  set.append(box);
}

function fill(select, options, chosen) {
  select.replaceChildren(
    ...options.map(({ value, text, disabled = false }) => {
      const option = new Option(text, value, false, value === String(chosen));
      option.disabled = disabled;
      return option;
    }),
  );
}

/* A range over the stops of a slider; returns what sets it to the stop that is nearest to a value. */
function slide(set, { name, label, says, values, texts }, now, changed) {
  const range = document.createElement("input");
  const shown = document.createElement("output");
  const hint = document.createElement("p");
  Object.assign(range, { type: "range", min: 0, max: values.length - 1, step: 1 });
  place(set, name, label, range, shown, ...(says ? [hint] : []));
  hint.textContent = says;
  hint.className = "hint";
  hint.id = `${range.id}-hint`;
  shown.htmlFor = range.id;
  if (says) range.setAttribute("aria-describedby", hint.id);

  function show() {
    const stop = Number(range.value);
    now[name] = values[stop];
    shown.value = texts[stop];
    range.setAttribute("aria-valuetext", texts[stop]);
  }
  function set_to(value) {
    const far = values.map((each) => Math.abs(each - value));
    range.value = far.indexOf(Math.min(...far));
    show();
  }
  range.addEventListener("input", () => {
    show();
    changed();
  });
  set_to(now[name]);
  return set_to;
}
