// SPDX-License-Identifier: Apache-2.0
#pragma once

// The PairHost that is real: pairs in the kernel's nftables table (forwarding.h), forwarding on for
// the devices that have our addresses (host_settings.h). Belongs to one thread.

#include <functional>
#include <memory>
#include <vector>

#include "netlink/netns.h"
#include "relay/forwarding.h"
#include "relay/host_settings.h"
#include "relay/pair_host.h"

namespace cvlan::relay {

class KernelPairHost final : public PairHost {
public:
    // Unsupported: no nftables here; Denied: without CAP_NET_ADMIN. `sets_forwarding` false: the
    // administrator has switched it on, or will.
    static Result<std::unique_ptr<KernelPairHost>> open(const netlink::NetnsFd& netns,
                                                        bool sets_forwarding);

    // Takes away what relays have left in this kernel: pairs, rules, and the settings that were
    // changed. Nothing there is success.
    static Result<void> clear(const netlink::NetnsFd& netns);

    Result<void> put_pair(const ForwardedPair& pair,
                          const std::optional<ForwardedPair>& instead_of) override;
    Result<void> refresh(const ForwardedPair& pair) override;
    Result<void> remove_pair(const ForwardedPair& pair) override;
    Result<std::vector<PairCount>> pairs() override;
    Result<Traffic> traffic() override { return forwarding_.traffic(); }
    // Repairs what somebody has flushed or switched off, and follows this machine's addresses.
    Result<void> look() override;

private:
    KernelPairHost(const netlink::NetnsFd& netns, Forwarding forwarding, bool sets_forwarding)
        : forwarding_(std::move(forwarding)),
          settings_(netns, forwarding_.client()),
          sets_forwarding_(sets_forwarding) {}
    Result<void> set_up(bool is_first);
    Result<void> with_table(const std::function<Result<void>()>& work);

    Forwarding forwarding_;
    HostSettings settings_;
    bool sets_forwarding_;
};

}  // namespace cvlan::relay
