"""Radio: path loss, chance, rates and handover as pure functions of a device's way.

`reception.receive` is what the rest of the simulator calls: one device and its candidate cells in, the
serving cell and the device's own full rate at every cell out, as functions of time that are constant
piece by piece. `budget.budget` shows a single link, `presets.PRESETS` the radios that have names.

How a cell is shared is not decided here. The rates are those of a device that has all of the air time; a
cell gives equal air time to each device that has traffic, or by weight. In this fluid model that is
proportional fair: of all shares a_i of the air, those equal to w_i / sum(w) maximise the sum of
w_i log(a_i r_i), whatever the rates r_i, for these only add a constant. (A real proportional-fair
scheduler gains more by riding on fast fading, which is a mean here, or one power for a block.)

Not modelled: several streams (MIMO), sectors and beams that point past a device, walls between indoors
and outdoors, hybrid ARQ (the gap to Shannon's bound stands for it), interference that follows the load.
"""
