// The map: what stands still is drawn once, what moves in each frame.

const PLACES = ["device", "edge", "cloud", "split", "none"];
const BORDER = 84; // pixels for clouds, at the upper border or the right one
const FOOT = 46; // and for what is written below a node
const GOLDEN = 2.399963; // an angle that spreads any number of marks around a node

// One mark of each shape, added to the path that is being drawn.
const SHAPES = {
  device: (ctx, x, y, r) => { ctx.moveTo(x + r, y); ctx.arc(x, y, r, 0, 7); },
  edge: (ctx, x, y, r) => ctx.rect(x - 0.85 * r, y - 0.85 * r, 1.7 * r, 1.7 * r),
  cloud: (ctx, x, y, r) => polygon(ctx, [x, y - 1.3 * r, x + 1.3 * r, y, x, y + 1.3 * r, x - 1.3 * r, y]),
  split: (ctx, x, y, r) => polygon(ctx, [x, y - 1.2 * r, x + 1.2 * r, y + r, x - 1.2 * r, y + r]),
  none: (ctx, x, y, r) => { ctx.moveTo(x + r, y); ctx.arc(x, y, r, 0, 7); },
};

function polygon(ctx, points) {
  ctx.moveTo(points[0], points[1]);
  for (let i = 2; i < points.length; i += 2) ctx.lineTo(points[i], points[i + 1]);
  ctx.closePath();
}

function makeScene(section, canvas, told, devices) {
  const ctx = canvas.getContext("2d");
  const still = document.createElement("canvas");
  const { nodes, cells, wires, box_m: [left, low, right, high], to_scale } = told.scene;
  const clouds = nodes.filter((node) => !node.at_m);
  const [px, py] = [new Float64Array(devices.length), new Float64Array(devices.length)];
  const there = new Int32Array(nodes.length), works = new Int32Array(nodes.length);
  const marks = new Map(PLACES.flatMap((place) => [[place, []], [`${place} waits`, []]]));
  const good = [], bad = [];
  const atNodes = told.legs.map(({ name }) => name === "edge" || name === "cloud");
  const spot = { x: 0, y: 0, leg: -1, waits: false, node: -1 };
  let colours = {}, scale = 1, wide = 0, tall = 0, ratio = 1, above = 0, aside = 0;

  const toX = (x) => (wide - aside) / 2 + (x - (left + right) / 2) * scale;
  const toY = (y) => (tall + above - FOOT) / 2 - (y - (low + high) / 2) * scale;

  function fit() {
    ratio = window.devicePixelRatio || 1;
    [wide, tall] = [canvas.clientWidth, canvas.clientHeight];
    for (const each of [canvas, still]) [each.width, each.height] = [wide * ratio, tall * ratio];
    const fits = (x, y) => Math.min((wide - 20 - x) / (right - left), (tall - FOOT - y) / (high - low));
    const border = clouds.length ? BORDER : 0;
    [above, aside] = fits(border, 0) > fits(0, border) ? [0, border] : [border, 0]; // where there is room
    scale = Math.max(fits(aside, above), 1e-9);
    nodes.forEach((node) => {
      const share = (clouds.indexOf(node) + 1) / (clouds.length + 1);
      [node.x, node.y] = aside ? [wide - BORDER / 2, tall * share] : [wide * share, 26];
      if (node.at_m) [node.x, node.y] = [toX(node.at_m[0]), toY(node.at_m[1])];
    });
    dress();
  }

  // Take the colours of the page, which may be light, dark, or to be printed.
  function dress() {
    const style = getComputedStyle(section);
    for (const name of ["ink", "paper", "ground", "faint", "cell", "device", "edge", "cloud", "split", "bad"]) {
      colours[name] = style.getPropertyValue(`--${name}`).trim();
    }
    colours.none = colours.faint;
    colours.font = style.fontFamily;
    drawStill();
  }

  function drawStill() {
    const pen = still.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = colours.ground;
    pen.fillRect(0, 0, wide, tall);
    drawWays(pen);
    for (const { node, range_m } of cells) {
      if (range_m === null) continue;
      pen.beginPath();
      pen.arc(nodes[node].x, nodes[node].y, range_m * scale, 0, 7);
      [pen.fillStyle, pen.strokeStyle] = [colours.cell, colours.cell];
      [pen.globalAlpha, pen.lineWidth] = [0.06, 1.5];
      pen.fill();
      pen.globalAlpha = 0.6;
      pen.stroke();
    }
    pen.globalAlpha = 0.7;
    [pen.strokeStyle, pen.lineWidth] = [colours.faint, 1.2];
    pen.beginPath();
    for (const [a, b] of wires) {
      pen.moveTo(nodes[a].x, nodes[a].y);
      pen.lineTo(nodes[b].x, nodes[b].y);
    }
    pen.stroke();
    pen.globalAlpha = 1;
    if (to_scale) drawScale(pen);
  }

  // Where devices ever go, as faint streets.
  function drawWays(pen) {
    [pen.strokeStyle, pen.lineWidth, pen.lineJoin, pen.globalAlpha] = [colours.faint, 5, "round", 0.13];
    pen.beginPath();
    for (const { x, y } of devices) {
      for (let i = 1; i < x.length; i++) {
        if (x[i] === x[i - 1] && y[i] === y[i - 1]) continue;
        pen.moveTo(toX(x[i - 1]), toY(y[i - 1]));
        pen.lineTo(toX(x[i]), toY(y[i]));
      }
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  function drawNode(pen, { name, x, y, at_m }) {
    [pen.fillStyle, pen.strokeStyle, pen.lineWidth] = [colours.paper, colours.ink, 1.5];
    pen.beginPath();
    if (at_m) pen.roundRect(x - 9, y - 9, 18, 18, 3);
    else pen.ellipse(x, y, 22, 13, 0, 0, 7);
    pen.fill();
    pen.stroke();
    write(pen, name, x, y + (at_m ? 36 : 38), "center");
  }

  // A name on the ground that it hides, so that it can be read wherever it stands.
  function write(pen, text, x, y, align, size = 12) {
    pen.font = `${size}px ${colours.font}`;
    [pen.textAlign, pen.lineJoin, pen.lineWidth, pen.strokeStyle] = [align, "round", 3, colours.ground];
    pen.strokeText(text, x, y);
    pen.fillStyle = colours.ink;
    pen.fillText(text, x, y);
  }

  function drawScale(pen) {
    const most = (wide / 5) / scale, power = 10 ** Math.floor(Math.log10(most));
    const metres = [5, 2, 1].map((n) => n * power).find((n) => n <= most) ?? power;
    const [x, y] = [14, tall - 12];
    [pen.strokeStyle, pen.lineWidth] = [colours.ink, 1.5];
    pen.beginPath();
    pen.moveTo(x, y - 5);
    pen.lineTo(x, y);
    pen.lineTo(x + metres * scale, y);
    pen.lineTo(x + metres * scale, y - 5);
    pen.stroke();
    write(pen, metres < 1000 ? `${+metres.toPrecision(2)} m` : `${metres / 1000} km`, x + 5, y - 5, "left", 11);
  }

  // Straight and even between the points of its track; time mostly goes on a little.
  function move(i, time) {
    const { times, x, y, at } = devices[i];
    const last = times.length - 1;
    let k = times[at] > time ? 0 : at;
    while (k < last && times[k + 1] <= time) k++;
    devices[i].at = k;
    const share = k === last ? 0 : Math.max(0, (time - times[k]) / (times[k + 1] - times[k]));
    const next = Math.min(k + 1, last);
    px[i] = toX(x[k] + share * (x[next] - x[k]));
    py[i] = toY(y[k] + share * (y[next] - y[k]));
  }

  const isHere = (i, time) => devices[i].enters <= time && time < devices[i].leaves;

  // Put a request where it is: on its way in this leg, or around the node where it stays.
  function locate(requests, r, time) {
    const { born, first, until, waits, device } = requests;
    const own = device[r], stop = first[r + 1];
    let k = first[r];
    while (k < stop && until[k] <= time) k++;
    [spot.x, spot.y, spot.leg, spot.waits, spot.node] = [px[own], py[own], -1, false, -1];
    if (k === stop) return;
    const begin = k === first[r] ? born[r] : until[k - 1];
    const way = requests.way(r, k), pieces = way.length - 1;
    spot.leg = requests.leg(r, k);
    spot.waits = pieces === 0 && time < begin + waits[k];
    if (pieces === 0) {
      if (way[0] < 0) return;
      const away = 13 + 3 * (r % 3), angle = GOLDEN * (r % 1000);
      spot.node = atNodes[spot.leg] ? way[0] : -1;
      spot.x = nodes[way[0]].x + away * Math.cos(angle);
      spot.y = nodes[way[0]].y + away * Math.sin(angle);
      return;
    }
    const gone = (pieces * (time - begin)) / (until[k] - begin);
    const piece = Math.min(Math.floor(gone), pieces - 1), share = gone - piece;
    const [a, b] = [way[piece], way[piece + 1]];
    const [ax, ay] = a < 0 ? [px[own], py[own]] : [nodes[a].x, nodes[a].y];
    const [bx, by] = b < 0 ? [px[own], py[own]] : [nodes[b].x, nodes[b].y];
    [spot.x, spot.y] = [ax + share * (bx - ax), ay + share * (by - ay)];
  }

  // Returns how many requests are under way in which leg, and how many of them wait.
  function draw(requests, active, time, chosen) {
    const counts = { legs: told.legs.map(() => 0), waiting: 0, total: 0 };
    there.fill(0);
    works.fill(0);
    for (const list of [...marks.values(), good, bad]) list.length = 0;
    for (let i = 0; i < devices.length; i++) move(i, time);
    for (const r of active) {
      locate(requests, r, time);
      if (spot.leg < 0) {
        (requests.end(r).onTime ? good : bad).push(spot.x, spot.y, r);
        continue;
      }
      const { where } = requests.kind(r);
      marks.get(spot.waits ? `${where} waits` : where).push(spot.x, spot.y);
      counts.legs[spot.leg]++;
      counts.total++;
      if (spot.waits) counts.waiting++;
      if (spot.node >= 0) there[spot.node]++;
      if (spot.node >= 0 && !spot.waits) works[spot.node]++;
    }
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.drawImage(still, 0, 0);
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawDevices(time, chosen);
    nodes.forEach((node) => drawNode(ctx, node));
    nodes.forEach(drawLoad);
    drawMarks();
    drawEnds(requests);
    return { ...counts, nodes: nodes.map((node, n) => ({ name: node.name, there: there[n], works: works[n] })) };
  }

  function drawDevices(time, chosen) {
    const size = devices.length > 400 ? 4 : 6;
    ctx.fillStyle = colours.ink;
    ctx.beginPath();
    for (let i = 0; i < devices.length; i++) {
      if (isHere(i, time)) ctx.rect(px[i] - size / 2, py[i] - size / 2, size, size);
    }
    ctx.fill();
    if (chosen === null || !isHere(chosen, time)) return;
    [ctx.strokeStyle, ctx.lineWidth] = [colours.ink, 2];
    ctx.strokeRect(px[chosen] - 10, py[chosen] - 10, 20, 20);
    write(ctx, devices[chosen].name, px[chosen] + 14, py[chosen] + 4, "left");
  }

  // Servers at work fill a box; who waits stands behind it, as long as there is room.
  function drawLoad({ x, y, at_m, servers }, n) {
    const [from, top, full] = [x - 20, y + (at_m ? 40 : 42), 40];
    const busy = full * Math.min(1, works[n] / servers);
    const behind = Math.min(30, (full * (there[n] - works[n])) / servers);
    ctx.fillStyle = colours.paper;
    ctx.fillRect(from, top, full, 6);
    ctx.fillStyle = colours.edge;
    ctx.fillRect(from, top, busy, 6);
    ctx.fillStyle = colours.device;
    ctx.fillRect(from + full + 2, top, behind, 6);
    [ctx.strokeStyle, ctx.lineWidth] = [colours.ink, 1];
    ctx.strokeRect(from, top, full, 6);
    if (there[n] > works[n]) write(ctx, `+${there[n] - works[n]}`, from + full + 5 + behind, top + 7, "left", 11);
  }

  function drawMarks() {
    for (const [key, list] of marks) {
      if (!list.length) continue;
      const [place, waits] = key.split(" ");
      ctx.beginPath();
      for (let i = 0; i < list.length; i += 2) SHAPES[place](ctx, list[i], list[i + 1], 4.5);
      [ctx.fillStyle, ctx.strokeStyle] = waits ? [colours.ground, colours[place]] : [colours[place], colours.ground];
      ctx.lineWidth = waits ? 1.8 : 2;
      if (!waits) ctx.stroke(); // below, or of many that lie together only the edges would be seen
      ctx.fill();
      if (waits) ctx.stroke();
    }
  }

  function drawEnds(requests) {
    ctx.lineWidth = 1.6;
    for (let i = 0; i < good.length; i += 3) {
      const { where } = requests.kind(good[i + 2]);
      [ctx.fillStyle, ctx.strokeStyle] = [colours[where], colours[where]];
      ctx.beginPath();
      ctx.arc(good[i], good[i + 1], 4, 0, 7);
      ctx.fill();
      ctx.beginPath();
      ctx.arc(good[i], good[i + 1], 7.5, 0, 7);
      ctx.stroke();
    }
    [ctx.strokeStyle, ctx.lineWidth] = [colours.bad, 2.4];
    ctx.beginPath();
    for (let i = 0; i < bad.length; i += 3) {
      const [x, y] = [bad[i], bad[i + 1]];
      ctx.moveTo(x - 5, y - 5);
      ctx.lineTo(x + 5, y + 5);
      ctx.moveTo(x + 5, y - 5);
      ctx.lineTo(x - 5, y + 5);
    }
    ctx.stroke();
  }

  // The device at a point of the canvas, as it was drawn last; null where none is near.
  function deviceAt(x, y, time) {
    let found = null, least = 16;
    for (let i = 0; i < devices.length; i++) {
      const away = Math.hypot(px[i] - x, py[i] - y);
      if (away < least && isHere(i, time)) [found, least] = [i, away];
    }
    return found;
  }

  return { fit, dress, draw, deviceAt, spotOf: (i) => [px[i], py[i]] };
}
