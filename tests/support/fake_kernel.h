// SPDX-License-Identifier: Apache-2.0
#pragma once

// A kernel in memory behind reconcile::Host, for tests of all that stands above the seam. It
// follows Linux where the difference shows: a removed link takes its addresses, peers and routes
// along, an allowed IP has one owner, a port one holder, a route wants a link that is up. The
// contract suite (tests/reconcile/host_contract.h) holds it to what KernelHost does. Tests reach in
// and tamper.

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcile/desired.h"
#include "reconcile/marks.h"
#include "reconcile/step.h"
#include "tests/support/fake_state.h"

namespace cvlan::tests {

class FakeKernel : public FakeState {
public:
    static Error error_of(int sys_errno) { return errno_error("fake", sys_errno); }
    Peer* peer(const std::string& device, const wg::PublicKey& key) {
        for (Peer& one : devices[device].peers)
            if (one.key == key) return &one;
        return nullptr;
    }
    void remove_link(const std::string& name) {
        devices.erase(name);
        drop_routes(name);
    }

    // Takes what Linux takes: IPv6 addresses and routes.
    void go_down(const std::string& name) {
        devices[name].up = false;
        std::erase_if(devices[name].addresses, [](auto& one) { return !one.first.is_v4(); });
        drop_routes(name);
    }

    // Carries out one step as KernelHost does.
    Result<void> carry_out(const rc::Step& step) {
        const std::string device(rc::device_of(step));
        const bool is_link = std::holds_alternative<rc::SetLink>(step);
        const bool is_route = std::holds_alternative<rc::RemoveRoute>(step);
        if (!device.empty() && !is_link && !is_route && !is_ours(device)) {
            if (devices.contains(device)) return fail(Code::Conflict, "{} is not ours", device);
            return rc::is_removal(step) ? Result<void>() : no(ENODEV);
        }
        return std::visit([&](const auto& one) { return run(one); }, step);
    }

private:
    static Result<void> no(int sys_errno) { return failed(error_of(sys_errno)); }
    bool is_ours(const std::string& name) const {
        const auto found = devices.find(name);
        return found != devices.end() && !rc::network_of_alias(found->second.alias).empty();
    }
    bool is_port_free(uint16_t port, const std::string& but) const {
        return !foreign_ports.contains(port) &&
               std::none_of(devices.begin(), devices.end(), [&](const auto& one) {
                   return one.first != but && one.second.up && one.second.listen_port == port;
               });
    }
    bool is_if_id_taken(uint32_t if_id, const std::string& but) const {
        return std::any_of(devices.begin(), devices.end(), [&](const auto& one) {
            return one.first != but && one.second.if_id == if_id;
        });
    }
    void drop_routes(const std::string& device) {
        std::erase_if(routes, [&](const Route& one) { return one.route.device == device; });
    }

    Result<void> run(const rc::SetLink& step) {
        if (step.found_as.empty() || step.found_as != step.device)
            if (devices.contains(step.device)) return no(EEXIST);
        const std::string& now = step.found_as.empty() ? step.device : step.found_as;
        if (step.if_id && is_if_id_taken(*step.if_id, now)) return no(EEXIST);
        if (step.found_as.empty()) devices[now] = {.kind = step.if_id ? "xfrm" : "wireguard"};
        if (!devices.contains(now)) return no(ENODEV);
        if (now != step.device) {
            go_down(now);
            devices[step.device] = std::move(devices.extract(now).mapped());
        }
        Device& link = devices[step.device];
        link.alias = rc::alias_of(step.network_id);
        link.mtu = step.mtu.value_or(link.mtu);
        link.if_id = step.if_id.value_or(link.if_id);
        if (!step.up || link.up) return {};
        if (link.listen_port != 0 && !is_port_free(link.listen_port, step.device))
            return no(EADDRINUSE);
        link.up = true;
        return {};
    }
    Result<void> run(const rc::RemoveLink& step) {
        remove_link(step.device);
        return {};
    }
    Result<void> run(const rc::SetAddress& step) {
        const auto& [device, address, length] = step.address;
        auto& addresses = devices[device].addresses;
        return addresses.emplace(address, length).second ? Result<void>() : no(EEXIST);
    }
    Result<void> run(const rc::RemoveAddress& step) {
        const auto& [device, address, length] = step.address;
        devices[device].addresses.erase({address, length});
        std::erase_if(routes, [&, gone = address](auto& one) { return one.route.source == gone; });
        return {};
    }
    Result<void> run(const rc::SetDevice& step) {
        Device& device = devices[step.device];
        if (step.listen_port && *step.listen_port != device.listen_port)
            if (device.up && !is_port_free(*step.listen_port, step.device)) return no(EADDRINUSE);
        if (step.key) device.key = step.key->public_key();
        device.listen_port = step.listen_port.value_or(device.listen_port);
        device.fwmark = step.fwmark.value_or(device.fwmark);
        return {};
    }
    Result<void> run(const rc::SetPeer& step) {
        Device& device = devices[step.device];
        if (peer(step.device, step.key) == nullptr) {
            if (!step.is_new) return {};
            device.peers.push_back({step.key});
        }
        if (step.allowed_ips)
            for (Peer& other : device.peers)
                for (const Prefix& prefix : *step.allowed_ips) other.allowed_ips.erase(prefix);
        Peer& mine = *peer(step.device, step.key);
        if (step.allowed_ips)
            mine.allowed_ips = {step.allowed_ips->begin(), step.allowed_ips->end()};
        if (step.endpoint) mine.endpoint = step.endpoint;
        mine.keepalive_seconds = step.keepalive_seconds.value_or(mine.keepalive_seconds);
        if (step.drop_preshared_key) mine.has_preshared_key = false;
        return {};
    }
    Result<void> run(const rc::RemovePeer& step) {
        std::erase_if(devices[step.device].peers, [&](auto& p) { return p.key == step.key; });
        return {};
    }
    Result<void> run(const rc::SetRoute& step) {
        if (!step.route.device.empty()) {
            if (!devices[step.route.device].up) return no(ENETDOWN);
            const auto& own = devices[step.route.device].addresses;
            const auto& source = step.route.source;
            if (source &&
                std::none_of(own.begin(), own.end(), [&](auto& a) { return a.first == source; }))
                return no(EINVAL);
        }
        for (Route& one : routes) {
            if (one.route.table != step.route.table || one.route.metric != step.route.metric ||
                one.route.destination != step.route.destination)
                continue;
            if (!step.replaces) return no(EEXIST);
            one = {step.route};
            return {};
        }
        routes.push_back({step.route});
        return {};
    }
    Result<void> run(const rc::RemoveRoute& step) {
        std::erase_if(routes, [&](const Route& one) {
            return one.protocol == rc::kProtocol && one.route.table == step.route.table &&
                   one.route.metric == step.route.metric &&
                   one.route.destination == step.route.destination;
        });
        return {};
    }
    // net/core/fib_rules.c: rule_exists() does not look at FIB_RULE_INVERT.
    Result<void> run(const rc::SetRule& step) {
        for (const Rule& one : rules) {
            rc::PolicyRule other = one.rule;
            other.is_inverted = step.rule.is_inverted;
            if (other == step.rule) return no(EEXIST);
        }
        rules.push_back({step.rule});
        return {};
    }
    Result<void> run(const rc::RemoveRule& step) {
        return std::erase(rules, Rule{step.rule}), Result<void>();
    }
};

}  // namespace cvlan::tests
