// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Host which is the kernel, of one network namespace. Observing sends GET and dump requests
// alone.

#include <memory>

#include "netlink/netns.h"
#include "netlink/socket.h"
#include "reconcile/host.h"

namespace cvlan::reconcile {

class KernelHost final : public Host {
public:
    // Code::Unsupported if the kernel has no WireGuard, with words for whoever has to load it.
    // Devices are made in `birthplace`, where that is another, and moved.
    static Result<KernelHost> open(const netlink::NetnsFd& netns,
                                   const netlink::NetnsFd* birthplace = nullptr);
    KernelHost(KernelHost&&) noexcept;
    KernelHost& operator=(KernelHost&&) noexcept;
    ~KernelHost() override;

    Result<Observed> observe(const Desired& want, Scope scope) override;
    std::vector<StepFailure> apply(std::span<const Step> steps) override;

    // Counts and fails requests, see netlink::Tally; it must outlive the host. For tests, benches.
    void set_tally(netlink::Tally* tally);

private:
    explicit KernelHost(std::unique_ptr<Kernel> kernel);
    std::unique_ptr<Kernel> kernel_;
};

}  // namespace cvlan::reconcile
