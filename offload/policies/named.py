"""The policies that ship, by name; nothing is imported to know them."""

NAMED: dict[str, str] = {
    # Baselines
    "local": "offload.policies.fixed:Local",
    "edge": "offload.policies.fixed:Edge",
    "cloud": "offload.policies.fixed:Cloud",
    "random": "offload.policies.chance:Random",
    "round-robin": "offload.policies.round_robin:RoundRobin",
    "least-loaded": "offload.policies.least_loaded:LeastLoaded",
    "power-of-d": "offload.policies.power_of_d:PowerOfD",
    "deadline-threshold": "offload.policies.threshold:DeadlineThreshold",
    "energy-threshold": "offload.policies.threshold:EnergyThreshold",
    "bandwidth-threshold": "offload.policies.threshold:BandwidthThreshold",
    # Greedy, over all plans
    "quickest": "offload.policies.quickest:Quickest",
    "thrifty": "offload.policies.thrifty:Thrifty",
    "on-time": "offload.policies.on_time:OnTime",
    "weighted": "offload.policies.weighted:Weighted",
    # Models and budgets
    "deep-decision": "offload.policies.deep_decision:DeepDecision",
    "mcdnn": "offload.policies.mcdnn:Mcdnn",
    # Partition
    "dads": "offload.policies.dads:Dads",
    "qdmp": "offload.policies.qdmp:Qdmp",
    "jointdnn": "offload.policies.jointdnn:JointDnn",
    "neurosurgeon": "offload.policies.neurosurgeon:Neurosurgeon",
    "edgent": "offload.policies.edgent:Edgent",
    "spinn": "offload.policies.spinn:Spinn",
    "jalad": "offload.policies.jalad:Jalad",
    "maui": "offload.policies.maui:Maui",
    # Several requests at once
    "assignment": "offload.policies.assignment:Assignment",
    "jps": "offload.policies.jps:Jps",
    "edf": "offload.policies.admission:EarliestDeadline",
    "least-slack": "offload.policies.admission:LeastSlack",
    # References
    "fresh": "offload.policies.quickest:Fresh",
    "clairvoyant": "offload.policies.quickest:Clairvoyant",
}
