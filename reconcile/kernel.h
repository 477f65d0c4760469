// SPDX-License-Identifier: Apache-2.0
#pragma once

// What KernelHost hands to the kinds: the sockets of one network namespace, and which interface
// stands behind the name of a device of ours.

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "kernel-wg/client.h"
#include "netlink/link.h"
#include "netlink/netns.h"
#include "netlink/socket.h"

namespace cvlan::reconcile {

class Kernel {
public:
    Kernel(netlink::Socket route, wg::Client wireguard)
        : route_(std::move(route)), wireguard_(std::move(wireguard)) {}

    // Links are made in `birthplace` from now on, and moved to `own`: that of these sockets.
    Result<void> bear_in(const netlink::NetnsFd& birthplace, const netlink::NetnsFd& own);
    Result<void> add_link(netlink::NewLink link);

    netlink::Socket& route() { return route_; }
    wg::Client& wireguard() { return wireguard_; }

    // The index of a device of ours. A foreign device of that name is Code::Conflict: each step
    // asks before it touches a device. Known from the observation, else the kernel is asked.
    Result<int> index_of(const std::string& device);
    // The device of ours with that index, from the links observed last; empty if there is none.
    std::string name_of(int index) const;

    void remember(const std::string& device, int index) { indexes_[device] = index; }
    void forget(const std::string& device) { indexes_.erase(device); }
    // What was known is asked anew.
    void forget_all() { indexes_.clear(); }

private:
    netlink::Socket route_;
    wg::Client wireguard_;
    std::optional<netlink::Socket> outside_{};
    std::optional<netlink::NetnsFd> own_{};
    std::map<std::string, int> indexes_;
};

}  // namespace cvlan::reconcile
