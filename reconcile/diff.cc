// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "reconcile/plan.h"

namespace cvlan::reconcile {

namespace {

void append(std::vector<Step>& to, std::vector<Step>& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

bool is_left_alone(const Step& step, const Desired& want) {
    return std::any_of(want.left_alone.begin(), want.left_alone.end(), [&](const LeftAlone& one) {
        return device_of(step) == one.device ||
               (one.index && table_of(step) == kTableBase + *one.index);
    });
}

}  // namespace

// Pure: two values in, a plan out. No clock, no logging, no I/O. Knows no kind by name.
Plan diff(const Desired& want, const Observed& have) {
    Plan plan;
    std::vector<std::vector<Step>> removals;
    for (const Kind& kind : kinds()) {
        if (kind.scope > have.scope) continue;
        Changes changes;
        kind.diff(want, have, changes);
        std::erase_if(changes.removals,
                      [&](const Step& step) { return is_left_alone(step, want); });
        append(plan.steps, changes.sets);
        removals.push_back(std::move(changes.removals));
    }
    // What is taken away goes last, and what stands on something before that on which it stands.
    for (auto each = removals.rbegin(); each != removals.rend(); ++each) append(plan.steps, *each);
    return plan;
}

std::vector<std::string> Plan::lines() const {
    std::vector<std::string> lines;
    lines.reserve(steps.size());
    for (const Step& step : steps) lines.push_back(reconcile::text(step));
    return lines;
}

std::string Plan::text() const {
    std::string all;
    for (const std::string& line : lines()) all.append(line).append("\n");
    return all;
}

}  // namespace cvlan::reconcile
