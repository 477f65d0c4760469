// SPDX-License-Identifier: Apache-2.0
#include "reconcile/kind_rule.h"

#include <algorithm>

#include "netlink/rule.h"
#include "reconcile/desired.h"
#include "reconcile/kernel.h"
#include "reconcile/observed.h"
#include "reconcile/step.h"

namespace cvlan::reconcile {

namespace {

std::string describe(const PolicyRule& rule) {
    std::string line =
        fmt::format("rule {} {}", rule.family == Family::V4 ? "ipv4" : "ipv6", rule.priority);
    if (rule.is_inverted) line += " not";
    if (rule.fwmark != 0 || rule.fwmask != 0)
        line += fmt::format(" fwmark {:#x}/{:#x}", rule.fwmark, rule.fwmask);
    return line + fmt::format(" lookup {}", rule.table);
}

netlink::Rule to_netlink(const PolicyRule& rule) {
    return {.family = rule.family,
            .priority = rule.priority,
            .table = rule.table,
            .fwmark = rule.fwmark,
            .fwmask = rule.fwmask,
            .is_inverted = rule.is_inverted,
            .protocol = kProtocol,
            .is_plain = rule.is_plain};
}

PolicyRule from_netlink(const netlink::Rule& rule) {
    return {.family = rule.family,
            .priority = rule.priority,
            .table = rule.table,
            .fwmark = rule.fwmark,
            .fwmask = rule.fwmask,
            .is_inverted = rule.is_inverted,
            .is_plain = rule.is_plain};
}

bool is_wanted_priority(const Desired& want, uint32_t priority) {
    return std::any_of(want.rules.begin(), want.rules.end(),
                       [&](const PolicyRule& rule) { return rule.priority == priority; });
}

}  // namespace

PolicyRule policy_rule(Family family, uint32_t index) {
    return {.family = family,
            .priority = kPriorityBase + index,
            .table = kTableBase + index,
            .fwmark = kMarkBase,
            .fwmask = kMarkMask,
            .is_inverted = true};
}

std::string text(const SetRule& step) { return "set " + describe(step.rule); }
std::string text(const RemoveRule& step) { return "remove " + describe(step.rule); }

Result<void> apply(Kernel& kernel, const SetRule& step) {
    return netlink::add_rule(kernel.route(), to_netlink(step.rule));
}

Result<void> apply(Kernel& kernel, const RemoveRule& step) {
    return netlink::remove_rule(kernel.route(), to_netlink(step.rule));
}

void diff_rules(const Desired& want, const Observed& have, Changes& changes) {
    const auto order = [](const PolicyRule& a, const PolicyRule& b) { return a <=> b; };
    merge(want.rules, have.rules, order, [&](const PolicyRule* wanted, const PolicyRule* found) {
        if (wanted == nullptr) {
            changes.removals.push_back(RemoveRule{*found});
        } else if (found == nullptr && !have.is_index_taken(wanted->priority - kPriorityBase)) {
            changes.sets.push_back(SetRule{*wanted});
        }
    });
}

Result<void> observe_rules(Kernel& kernel, const Desired& want, Observed& have) {
    auto rules = netlink::list_rules(kernel.route());
    if (!rules) return failed(rules.error());
    for (const netlink::Rule& rule : *rules) {
        if (!is_our_priority(rule.priority)) continue;
        const PolicyRule found = from_netlink(rule);
        if (rule.protocol == kProtocol) {
            have.rules.push_back(found);
        } else if (is_wanted_priority(want, rule.priority)) {
            have.foreign.push_back({.holds = Foreign::Holds::Index,
                                    .index = rule.priority - kPriorityBase,
                                    .what = fmt::format("{} protocol {} is not ours",
                                                        describe(found), rule.protocol)});
        }
    }
    std::sort(have.rules.begin(), have.rules.end());
    return {};
}

}  // namespace cvlan::reconcile
