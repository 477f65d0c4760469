// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Host of a machine that is in networks of several tenants and passes on their packets: each
// tenant has a network namespace of its own, with all that Desired has of it, and so tenants with
// the same addresses never meet. Devices are born in the process's own namespace and moved: there
// WireGuard keeps its UDP socket, and there XFRM looks for states and policies (netlink/link.h). A
// namespace forwards packets; what else stands in it, a way to a subnet say, is its
// administrator's.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "netlink/netns.h"
#include "reconcile/host.h"
#include "reconcile/kernel_host.h"

namespace cvlan::reconcile {

class TenantHost final : public Host {
public:
    // Called with each namespace that is there, and each that is made later.
    using Opened = std::function<void(const netlink::NetnsFd&)>;

    // Takes over the namespaces that are there. Code::Unsupported as of KernelHost.
    static Result<std::unique_ptr<TenantHost>> open(Opened opened);

    Result<Observed> observe(const Desired& want, Scope scope) override;
    std::vector<StepFailure> apply(std::span<const Step> steps) override;

    // All of ours goes, and so do the namespaces. A device that somebody else moved in goes back to
    // where it came from, if it is a real one.
    std::vector<std::string> teardown();

private:
    struct Place {
        KernelHost host;
        netlink::NetnsFd netns;
    };

    TenantHost(netlink::NetnsFd own, Opened opened)
        : own_(std::move(own)), opened_(std::move(opened)) {}
    Result<void> enter(const std::string& name);
    void learn(const Desired& want, const std::string& name);
    void learn(const Observed& have, const std::string& name);
    std::string place_of(const Step& step) const;

    netlink::NetnsFd own_;
    Opened opened_;
    std::map<std::string, Place> places_;  // by the namespace's name
    // Where what is wanted and what was observed last is: devices by name, networks by index.
    std::map<std::string, std::string> devices_;
    std::map<uint32_t, std::string> indexes_;
};

// What of `want` is in that namespace.
Desired part_of(const Desired& want, std::string_view netns);

}  // namespace cvlan::reconcile
