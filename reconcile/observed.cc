// SPDX-License-Identifier: Apache-2.0
#include "reconcile/observed.h"

#include <algorithm>

#include "reconcile/marks.h"

namespace cvlan::reconcile {

bool Observed::is_device_taken(std::string_view device) const {
    return std::any_of(foreign.begin(), foreign.end(), [&](const Foreign& one) {
        return one.holds == Foreign::Holds::Device && one.device == device;
    });
}

bool Observed::is_index_taken(uint32_t index) const {
    return std::any_of(foreign.begin(), foreign.end(), [&](const Foreign& one) {
        return one.holds == Foreign::Holds::Index && one.index == index;
    });
}

const ObservedLink* Observed::link_of(const Link& want) const {
    const ObservedLink* found = nullptr;
    for (const ObservedLink& link : links) {
        if (link.network_id != want.network_id || (link.if_id == 0) != (want.if_id == 0)) continue;
        // Of two with the same mark the one with the right name.
        if (link.device == want.device) return &link;
        if (found == nullptr) found = &link;
    }
    return found;
}

const wg::Device* Observed::wireguard_device(std::string_view device) const {
    for (const wg::Device& one : wireguard)
        if (one.name == device) return &one;
    return nullptr;
}

}  // namespace cvlan::reconcile
