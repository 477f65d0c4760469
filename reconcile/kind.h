// SPDX-License-Identifier: Apache-2.0
#pragma once

// One kind of state in the kernel: a row of the table in kinds.cc. A kind lives in its own file
// (kind_link.cc, …), which has what is wanted and found of it, its steps, and how it is observed,
// compared, printed and applied. A further one (nftables) is a further file and row, a
// section in Desired and Observed and its steps in Step; diff.cc and the hosts stay as they are.

#include <compare>
#include <span>
#include <string_view>

#include "base/result.h"

namespace cvlan::reconcile {

struct Desired;
struct Observed;
struct Changes;
class Kernel;

// Steps which set something run in this order, steps which remove in the opposite one.
enum class Phase { Firewall, Link, Address, Peer, Route, Rule };

// How much a round looks at. WireGuard announces no change of its devices, so these are read often.
enum class Scope { WireGuard, Everything };

struct Kind {
    std::string_view name;
    Phase phase;
    Scope scope;  // the smallest one that has it
    // Pure. Adds the steps which make of what is there what is wanted.
    void (*diff)(const Desired& want, const Observed& have, Changes& changes);
    // Reads what is there: ours, and what is in the way of `want`.
    Result<void> (*observe)(Kernel& kernel, const Desired& want, Observed& have);
};

std::span<const Kind> kinds();  // in the order of their phases

// Walks two ranges which are sorted by the same key. `order(want, have)` compares keys;
// `visit(want or nullptr, have or nullptr)` gets each key once.
template <class Want, class Have, class Order, class Visit>
void merge(const Want& want, const Have& have, Order order, Visit visit) {
    auto w = want.begin();
    auto h = have.begin();
    while (w != want.end() || h != have.end()) {
        const std::strong_ordering which = w == want.end()   ? std::strong_ordering::greater
                                           : h == have.end() ? std::strong_ordering::less
                                                             : order(*w, *h);
        visit(which <= 0 ? &*w : nullptr, which >= 0 ? &*h : nullptr);
        if (which <= 0) ++w;
        if (which >= 0) ++h;
    }
}

}  // namespace cvlan::reconcile
