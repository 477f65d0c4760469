// SPDX-License-Identifier: Apache-2.0
#pragma once

// One round of the agent's way: observe, diff, apply. Keeps nothing between rounds: the kernel is
// the state. When to do the next one is the agent's (daemons/agent).

#include <cstdint>
#include <string>
#include <vector>

#include "reconcile/host.h"
#include "reconcile/plan.h"

namespace cvlan::reconcile {

// The listen port of a device is held by somebody else: the agent picks another.
struct PortTaken {
    std::string device;
    uint16_t port = 0;
    bool operator==(const PortTaken&) const = default;
};

struct Round {
    Observed observed;  // before the plan was applied; for status and reach
    Plan plan;
    std::vector<StepFailure> failures;    // `index` is that of the step in the plan
    std::vector<uint32_t> indexes_taken;  // of wanted networks; why: observed.foreign
    std::vector<PortTaken> ports_taken;

    // Nothing to do and nothing in the way: the kernel is as wanted, within the scope observed.
    bool converged() const { return plan.empty() && observed.foreign.empty(); }
    // "add link cv-…: Operation not permitted", a line for each failure and each foreign object.
    std::vector<std::string> problems() const;
};

// An Error only if the kernel could not be read; then nothing was changed. A round of
// Scope::WireGuard which finds a link changed looks at everything and returns that round.
Result<Round> run_round(Host& host, const Desired& want, Scope scope = Scope::Everything);

// Rounds until a plan is empty, one repeats the failures of the last, or `most` are done: the first
// plan, what is left of failures, and the last observation. For `up` and start; the loop's own
// rounds are single ones.
struct Converged {
    Plan first_plan;
    Round last;
    int rounds = 0;
};
Result<Converged> converge(Host& host, const Desired& want, int most = 4);

// What a round would change; changes nothing.
Result<Plan> plan_only(Host& host, const Desired& want);

}  // namespace cvlan::reconcile
