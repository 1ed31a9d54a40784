// What the page holds, unpacked: columns of whole numbers, deflated and in base64 (packed.py).

async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const bytes = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return columnsOf(new Uint8Array(await new Response(bytes).arrayBuffer()));
}

// Each call reads as many numbers as it is asked for. Doubles hold what 32 bits would not.
function columnsOf(bytes) {
  let at = 0;
  return (count) => {
    const numbers = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      let byte, number = 0, weight = 1;
      do {
        byte = bytes[at++];
        number += (byte & 127) * weight;
        weight *= 128;
      } while (byte > 127);
      numbers[i] = number;
    }
    return numbers;
  };
}

const signed = (numbers) => numbers.map((n) => (n % 2 ? -(n + 1) / 2 : n / 2));

function summed(numbers) {
  for (let i = 1; i < numbers.length; i++) numbers[i] += numbers[i - 1];
  return numbers;
}

// Devices with their tracks, in metres and seconds.
async function readDevices(told) {
  const { groups, points, grid_m, columns } = told.devices;
  const [left, low] = told.scene.box_m;
  const names = groups.flatMap(([group, count]) => Array.from({ length: count }, (_, i) => `${group}-${i}`));
  const next = await unpack(columns);
  const [sizes, enters, leaves] = [next(names.length), next(names.length), next(names.length)];
  const [times, x, y] = [signed(next(points)), signed(next(points)), signed(next(points))];
  const seconds = (steps) => told.begin_s + steps * told.step_s;
  let from = 0;
  return names.map((name, i) => {
    const [first, last] = [from, (from += sizes[i])];
    const track = (column, value) => summed(column.slice(first, last)).map(value);
    return {
      name,
      enters: enters[i] > 0 ? seconds(enters[i]) : -Infinity,
      leaves: seconds(leaves[i]),
      times: track(times, seconds),
      x: track(x, (n) => left + n * grid_m),
      y: track(y, (n) => low + n * grid_m),
      at: 0, // the point that it passed last
    };
  });
}

// The requests of a policy in the order of their births; request r has the legs first[r] to first[r + 1].
async function readRequests(policy, told, devices) {
  const { requests: count, legs, trips } = policy;
  const next = await unpack(policy.columns);
  const seconds = (steps) => steps * told.step_s;
  const id = summed(signed(next(count)));
  const born = summed(next(count)).map((steps) => told.begin_s + seconds(steps));
  const [device, kind, end, trip] = [next(count), next(count), next(count), next(count)];
  const deadline = next(count).map((steps) => (steps ? seconds(steps - 1) : Infinity));
  const [took, waits] = [next(legs).map(seconds), next(legs).map(seconds)];
  const first = new Int32Array(count + 1);
  const until = new Float64Array(legs); // when a leg ends
  const ended = new Float64Array(count);
  const latest = new Float64Array(count); // when the last of all that were born so far has ended
  const of = devices.map(() => []);
  for (let r = 0; r < count; r++) {
    first[r + 1] = first[r] + trips[trip[r]].length;
    let now = born[r];
    for (let k = first[r]; k < first[r + 1]; k++) until[k] = now += took[k];
    ended[r] = now;
    latest[r] = r ? Math.max(now, latest[r - 1]) : now;
    of[device[r]].push(r);
  }
  const kinds = policy.kinds.map(([task, stage, plan, where]) => ({ task, stage, plan, where }));
  const ends = policy.ends.map(([cause, onTime]) => ({ cause, onTime }));
  return {
    count, id, born, ended, latest, deadline, device, first, until, took, waits, of,
    kind: (r) => kinds[kind[r]],
    end: (r) => ends[end[r]],
    leg: (r, k) => trips[trip[r]][k - first[r]][0],
    way: (r, k) => trips[trip[r]][k - first[r]][1],
  };
}

// How many of rising numbers are at most this.
function upTo(numbers, most) {
  let low = 0, high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= most) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Who is under way: kept from frame to frame, so that each costs what is under way and not what there is.
function underWay(requests) {
  let active = [], next = 0, before = -Infinity;
  return function at(time, lingers) {
    if (time < before || time > before + 5) { // another place of the run: look it up
      next = upTo(requests.born, time);
      active = [];
      for (let r = upTo(requests.latest, time - lingers); r < next; r++) active.push(r);
    }
    while (next < requests.count && requests.born[next] <= time) active.push(next++);
    before = time;
    const examined = active.length;
    active = active.filter((r) => requests.ended[r] + lingers > time);
    return { active, examined };
  };
}
