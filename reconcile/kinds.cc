// SPDX-License-Identifier: Apache-2.0
#include "reconcile/kind.h"
#include "reconcile/kind_address.h"
#include "reconcile/kind_link.h"
#include "reconcile/kind_route.h"
#include "reconcile/kind_rule.h"
#include "reconcile/kind_wireguard.h"

namespace cvlan::reconcile {

namespace {
// In the order of the phases. Links are observed first: the others are found on them.
constexpr Kind kKinds[] = {
    {"links", Phase::Link, Scope::WireGuard, diff_links, observe_links},
    {"addresses", Phase::Address, Scope::Everything, diff_addresses, observe_addresses},
    {"wireguard", Phase::Peer, Scope::WireGuard, diff_wireguard, observe_wireguard},
    {"routes", Phase::Route, Scope::Everything, diff_routes, observe_routes},
    {"rules", Phase::Rule, Scope::Everything, diff_rules, observe_rules},
};
}  // namespace

std::span<const Kind> kinds() { return kKinds; }

}  // namespace cvlan::reconcile
