"""Writes intersection.csv: 60 cars at a crossing, 20 that wait near it and 40 that pass in platoons.

The platoon is what a traffic light lets go: its cars follow each other within three seconds, are within
75 m of the crossing for 10 s, out of it for 10 s, and come back. Run in this folder:

    python intersection.py > intersection.csv
"""

LANE_M, REACH_M, SPEED_MPS, PLATOON_S = 3.5, 150.0, 15.0, 3.0  # 15 m/s is 54 km/h
LAP_S = 4 * REACH_M / SPEED_MPS  # from one end of the street to the other and back: 40 s

print("time,id,x,y")
for car in range(20):  # queues at the lights, four arms of five cars, 8 m apart
    arm, place = car % 4, 12 + 8 * (car // 4)
    x, y = [(place, LANE_M), (-place, -LANE_M), (LANE_M, -place), (-LANE_M, place)][arm]
    for time in (0, LAP_S):
        print(f"{time:g},waiting-{car},{x:g},{y:g}")
for car in range(40):
    phase = car / 40 * PLATOON_S
    turns = sorted({0.0, LAP_S, *((k * LAP_S / 2 - phase) % LAP_S for k in range(2))})
    for time in turns:
        along = (time + phase) / LAP_S % 1  # 0 and 1 at one end of the street, 1/2 at the other
        place = REACH_M * (4 * abs(along - 0.5) - 1)
        lane = LANE_M if along < 0.5 else -LANE_M
        x, y = (place, lane) if car % 2 else (lane, place)
        print(f"{time:g},passing-{car},{x:.3f},{y:g}")
