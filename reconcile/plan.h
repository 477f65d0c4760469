// SPDX-License-Identifier: Apache-2.0
#pragma once

// The ordered steps from what is to what should be: sets in the order of the phases, then removals
// in the opposite order. An empty plan is the proof of convergence.

#include <string>
#include <vector>

#include "reconcile/desired.h"
#include "reconcile/observed.h"
#include "reconcile/step.h"

namespace cvlan::reconcile {

struct Plan {
    std::vector<Step> steps;

    bool empty() const { return steps.empty(); }
    std::vector<std::string> lines() const;
    std::string text() const;  // the lines, each with its newline
    bool operator==(const Plan&) const = default;
};

// Pure. Only what `have.scope` covers is compared. Nothing is planned on a device or an index which
// a foreign object holds.
Plan diff(const Desired& want, const Observed& have);

}  // namespace cvlan::reconcile
