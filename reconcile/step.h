// SPDX-License-Identifier: Apache-2.0
#pragma once

// One change of the kernel, as a value: comparable, and one line of text, the same in
// `cvlanctl plan`, in the log and in tests. The text never has a secret in it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reconcile/kind_address.h"
#include "reconcile/kind_link.h"
#include "reconcile/kind_route.h"
#include "reconcile/kind_rule.h"
#include "reconcile/kind_wireguard.h"

namespace cvlan::reconcile {

using Step = std::variant<SetLink, RemoveLink, SetAddress, RemoveAddress, SetDevice, SetPeer,
                          RemovePeer, SetRoute, RemoveRoute, SetRule, RemoveRule>;

// "set peer cv-abcdefghij 4fQx…= allowed 10.100.0.2/32 endpoint 192.0.2.1:51820 keepalive 25"
std::string text(const Step& step);
// The device it is about; empty for rules.
std::string_view device_of(const Step& step);
// The routing table it is about; none for links, addresses and WireGuard.
std::optional<uint32_t> table_of(const Step& step);
// True for steps which take something away.
bool is_removal(const Step& step);

// What the kinds find to be done, before it is put in order. Each kind adds its own, in its order.
struct Changes {
    std::vector<Step> sets;
    std::vector<Step> removals;
};

}  // namespace cvlan::reconcile
