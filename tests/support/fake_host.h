// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Host of tests: a FakeKernel behind the seam, with faults to order. The contract suite
// (tests/reconcile/host_contract.h) holds it to what KernelHost does.

#include <functional>

#include "reconcile/host.h"
#include "tests/support/fake_kernel.h"

namespace cvlan::tests {

class FakeHost final : public rc::Host, public FakeKernel {
public:
    // Asked before each step: an Error makes the step fail.
    std::function<std::optional<Error>(const rc::Step&)> fault;
    std::function<std::optional<Error>()> observe_fault;
    std::vector<rc::Step> applied;  // all steps that were tried
    int observed = 0;

    Result<rc::Observed> observe(const rc::Desired& want, rc::Scope scope) override;
    std::vector<rc::StepFailure> apply(std::span<const rc::Step> steps) override {
        std::vector<rc::StepFailure> failures;
        for (size_t i = 0; i < steps.size(); ++i) {
            applied.push_back(steps[i]);
            auto error = fault ? fault(steps[i]) : std::nullopt;
            Result<void> done = error ? Result<void>(failed(*error)) : carry_out(steps[i]);
            if (!done) failures.push_back({i, done.error()});
        }
        return failures;
    }

private:
    static void observe_addresses(const std::string& name, const Device& device,
                                  rc::Observed& have) {
        if (have.scope != rc::Scope::Everything) return;
        for (const auto& [address, length] : device.addresses)
            have.addresses.push_back({name, address, length});
    }
    void observe_devices(const rc::Desired& want, rc::Observed& have) const;
    void observe_routing(const rc::Desired& want, rc::Observed& have) const;
};

inline void FakeHost::observe_devices(const rc::Desired& want, rc::Observed& have) const {
    const bool sees_xfrm = have.scope == rc::Scope::Everything ||
                           std::any_of(want.links.begin(), want.links.end(),
                                       [](const rc::Link& link) { return link.if_id != 0; });
    for (const auto& [name, device] : devices) {
        const std::string network = rc::network_of_alias(device.alias);
        if (device.kind == "xfrm" && !network.empty()) {
            if (!sees_xfrm) continue;
            have.links.push_back({name, network, device.mtu, device.up, device.if_id});
            observe_addresses(name, device, have);
            continue;
        }
        if (network.empty() || device.kind != "wireguard") {
            for (const rc::Link& link : want.links)
                if (link.if_id != 0 && link.if_id == device.if_id && link.device != name)
                    have.foreign.push_back({.holds = rc::Foreign::Holds::Index,
                                            .index = link.if_id - rc::kIfIdBase,
                                            .what = "link " + name + " is not ours"});
            for (const rc::Link& link : want.links)
                if (link.device == name)
                    have.foreign.push_back(
                        {.device = name, .what = "link " + name + " is not ours"});
            continue;
        }
        have.links.push_back({name, network, device.mtu, device.up});
        wg::Device& found = have.wireguard.emplace_back();
        found.name = name;
        found.public_key = device.key;
        found.listen_port = device.listen_port;
        found.fwmark = device.fwmark;
        for (const Peer& one : device.peers) {
            wg::Peer& peer = found.peers.emplace_back();
            peer.public_key = one.key;
            peer.endpoint = one.endpoint;
            peer.last_handshake = one.last_handshake;
            peer.allowed_ips = {one.allowed_ips.begin(), one.allowed_ips.end()};
            peer.keepalive_seconds = one.keepalive_seconds;
            peer.rx_bytes = one.rx_bytes;
            peer.tx_bytes = one.tx_bytes;
            if (one.has_preshared_key) peer.preshared_key.writable()[0] = 1;
        }
        observe_addresses(name, device, have);
    }
    std::sort(have.addresses.begin(), have.addresses.end());
}

inline void FakeHost::observe_routing(const rc::Desired& want, rc::Observed& have) const {
    const auto add_foreign = [&](uint32_t index, std::string what) {
        have.foreign.push_back(
            {.holds = rc::Foreign::Holds::Index, .index = index, .what = std::move(what)});
    };
    for (const Route& one : routes) {
        const rc::DeviceRoute& route = one.route;
        if (!rc::is_our_table(route.table)) continue;
        if (one.protocol == rc::kProtocol) {
            have.routes.push_back(route);
        } else if (std::any_of(want.routes.begin(), want.routes.end(),
                               [&](auto& other) { return other.table == route.table; })) {
            add_foreign(route.table - rc::kTableBase,
                        "route " + route.destination.text() + " is not ours");
        }
    }
    for (const Rule& one : rules) {
        const rc::PolicyRule& rule = one.rule;
        if (!rc::is_our_priority(rule.priority)) continue;
        if (one.protocol == rc::kProtocol) {
            have.rules.push_back(rule);
        } else if (std::any_of(want.rules.begin(), want.rules.end(),
                               [&](auto& other) { return other.priority == rule.priority; })) {
            add_foreign(rule.priority - rc::kPriorityBase,
                        fmt::format("rule {} is not ours", rule.priority));
        }
    }
    std::sort(have.routes.begin(), have.routes.end(), [](const auto& a, const auto& b) {
        return std::tie(a.table, a.destination, a.metric) <
               std::tie(b.table, b.destination, b.metric);
    });
    std::sort(have.rules.begin(), have.rules.end());
}

inline Result<rc::Observed> FakeHost::observe(const rc::Desired& want, rc::Scope scope) {
    ++observed;
    if (auto error = observe_fault ? observe_fault() : std::nullopt) return failed(*error);
    rc::Observed have;
    have.scope = scope;
    observe_devices(want, have);
    if (scope == rc::Scope::Everything) observe_routing(want, have);
    return have;
}

}  // namespace cvlan::tests
