// SPDX-License-Identifier: Apache-2.0
#pragma once

// What FakeKernel holds. Tests reach in, to look and to tamper.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reconcile/desired.h"
#include "reconcile/marks.h"

namespace cvlan::tests {

namespace rc = cvlan::reconcile;

struct FakeState {
    struct Peer {
        wg::PublicKey key;
        std::set<Prefix> allowed_ips{};
        std::optional<Endpoint> endpoint{};
        uint16_t keepalive_seconds = 0;
        bool has_preshared_key = false;
        std::optional<WallTime> last_handshake{};
        uint64_t rx_bytes = 0, tx_bytes = 0;
    };
    struct Device {
        std::string alias{};
        uint32_t mtu = 1420;
        bool up = false;
        wg::PublicKey key{};
        uint16_t listen_port = 0;
        uint32_t fwmark = 0;
        std::vector<Peer> peers{};  // in the order in which they came
        std::set<std::pair<Address, uint8_t>> addresses{};
        std::string kind = "wireguard";
        uint32_t if_id = 0;  // of kind "xfrm"
    };
    struct Route {
        rc::DeviceRoute route;
        uint8_t protocol = rc::kProtocol;
        bool operator==(const Route&) const = default;
    };
    struct Rule {
        rc::PolicyRule rule;
        uint8_t protocol = rc::kProtocol;
        bool operator==(const Rule&) const = default;
    };

    std::map<std::string, Device> devices;
    std::vector<Route> routes;
    std::vector<Rule> rules;
    std::set<uint16_t> foreign_ports;  // held by other programs
};

}  // namespace cvlan::tests
