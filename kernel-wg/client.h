// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads and changes WireGuard devices through generic netlink (linux/wireguard.h). Making and
// removing the device itself is netlink/link.h's.
//
// A Client belongs to the thread and network namespace which opened it. Calls block until the
// kernel acks, which it does within the send; the timeout is for a kernel which is in trouble.
// A device that is missing is Code::NotFound, one that is not WireGuard Code::Unsupported.

#include <span>
#include <string_view>
#include <vector>

#include "kernel-wg/types.h"
#include "netlink/generic.h"
#include "netlink/netns.h"
#include "netlink/socket.h"

namespace cvlan::wg {

class Client {
public:
    // Code::Unsupported if the kernel has no WireGuard.
    static Result<Client> open(const netlink::NetnsFd& netns);
    static Result<Client> open();
    static Result<Client> over(netlink::Socket socket);

    // The device with all its peers. A peer which the kernel spread over several messages is one.
    Result<Device> device(std::string_view ifname);

    // Fields which are not set are left as they are. Not atomic across messages: a failure
    // part-way leaves a device which is valid but incomplete, and the caller observes again.
    // A port that is taken is Code::Exists (EADDRINUSE).
    Result<void> change_device(std::string_view ifname, const DeviceChange& change);
    Result<void> change_peer(std::string_view ifname, const PeerChange& change);

    // All changes, in order, in as few messages as hold them. The peers which the kernel refused
    // are named; the others are done. An Error is the device's: nothing may be assumed.
    struct PeerFailure {
        size_t index = 0;
        Error error;
    };
    Result<std::vector<PeerFailure>> change_peers(std::string_view ifname,
                                                  std::span<const PeerChange> changes);

    netlink::Socket& socket() { return socket_; }

private:
    Client(netlink::Socket socket, netlink::GenericFamily family)
        : socket_(std::move(socket)), family_(family) {}
    template <class Attempt>
    auto of_this_family(Attempt attempt) -> decltype(attempt());
    Result<std::vector<PeerFailure>> try_change_peers(std::string_view ifname,
                                                      std::span<const PeerChange> changes);

    netlink::Socket socket_;
    netlink::GenericFamily family_;
};

}  // namespace cvlan::wg
