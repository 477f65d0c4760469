// SPDX-License-Identifier: Apache-2.0
#pragma once

// The policy rule which sends what does not carry our mark through a network's table: one for each
// address family the network has. Known as ours by protocol and priority together.

#include <cstdint>
#include <string>

#include "base/ip.h"
#include "reconcile/kind.h"

namespace cvlan::reconcile {

struct PolicyRule {
    Family family = Family::V4;
    uint32_t priority = 0;
    uint32_t table = 0;
    uint32_t fwmark = 0;
    uint32_t fwmask = 0;
    bool is_inverted = false;  // holds for what does not match
    bool is_plain = true;      // false: selects by something else, too
    auto operator<=>(const PolicyRule&) const = default;
};

// `not fwmark 0xCA000000/0xFF000000 lookup 52000+index` at priority 5200+index.
PolicyRule policy_rule(Family family, uint32_t index);

struct SetRule {
    PolicyRule rule;
    bool operator==(const SetRule&) const = default;
};

struct RemoveRule {
    PolicyRule rule;
    bool operator==(const RemoveRule&) const = default;
};

std::string text(const SetRule& step);
std::string text(const RemoveRule& step);
Result<void> apply(Kernel& kernel, const SetRule& step);
Result<void> apply(Kernel& kernel, const RemoveRule& step);

void diff_rules(const Desired& want, const Observed& have, Changes& changes);
Result<void> observe_rules(Kernel& kernel, const Desired& want, Observed& have);

}  // namespace cvlan::reconcile
