// SPDX-License-Identifier: Apache-2.0
#include "kernel-wg/client.h"

#include <linux/netlink.h>
#include <linux/wireguard.h>

#include <algorithm>
#include <cerrno>

#include "kernel-wg/encode.h"
#include "kernel-wg/parse.h"

namespace cvlan::wg {

namespace {

// True where the failure is of the device or of us, so that no peer of it can fare better.
bool is_of_the_device(const Error& error) {
    return error.code == Code::NotFound || error.code == Code::Denied ||
           error.code == Code::Unsupported || error.code == Code::Unavailable;
}

}  // namespace

Result<Client> Client::open(const netlink::NetnsFd& netns) {
    auto socket = netlink::Socket::open(NETLINK_GENERIC, netns);
    if (!socket) return failed(socket.error());
    return over(std::move(*socket));
}

Result<Client> Client::open() {
    auto socket = netlink::Socket::open(NETLINK_GENERIC);
    if (!socket) return failed(socket.error());
    return over(std::move(*socket));
}

Result<Client> Client::over(netlink::Socket socket) {
    auto family = netlink::GenericFamily::find(socket, WG_GENL_NAME);
    if (!family) return failed(family.error());
    return Client(std::move(socket), *family);
}

// The kernel numbers the family anew when its module is loaded again, and answers the old number
// with ENOENT (net/netlink/genetlink.c: genl_rcv_msg), which WireGuard itself never says: a device
// that is missing is ENODEV.
template <class Attempt>
auto Client::of_this_family(Attempt attempt) -> decltype(attempt()) {
    auto done = attempt();
    if (done || done.error().sys_errno != ENOENT) return done;
    auto family = netlink::GenericFamily::find(socket_, WG_GENL_NAME);
    if (!family) return failed(family.error());
    family_ = *family;
    return attempt();
}

Result<Device> Client::device(std::string_view ifname) {
    Device device;
    auto done = of_this_family([&] {
        netlink::Message message = family_.message(WG_CMD_GET_DEVICE, 0);
        message.put_string(WGDEVICE_A_IFNAME, ifname);
        return socket_.dump(
            message, [&] { device = Device(); },
            [&](const netlink::Reply& reply) {
                return parse_device_message(reply.payload, device);
            });
    });
    if (!done) return failed(done.error().while_doing(fmt::format("wg {}: read", ifname)));
    return device;
}

Result<void> Client::change_device(std::string_view ifname, const DeviceChange& change) {
    auto done = of_this_family([&] {
        netlink::Message message = encode_device(family_, ifname, change);
        return socket_.request(message);
    });
    if (!done) return failed(done.error().while_doing(fmt::format("wg {}: change", ifname)));
    return {};
}

Result<void> Client::change_peer(std::string_view ifname, const PeerChange& change) {
    auto done = of_this_family([&]() -> Result<void> {
        for (PeersMessage& part : encode_peers(family_, ifname, {&change, 1}))
            if (auto each = socket_.request(part.message); !each) return each;
        return {};
    });
    if (done) return done;
    return failed(
        done.error().while_doing(fmt::format("wg {}: change peer {}", ifname, change.public_key)));
}

Result<std::vector<Client::PeerFailure>> Client::change_peers(std::string_view ifname,
                                                              std::span<const PeerChange> changes) {
    return of_this_family([&] { return try_change_peers(ifname, changes); });
}

// The kernel carries out the peers of a message in order and stops at the first which it refuses,
// without saying which. So the changes of a refused message are repeated one by one: those before
// the bad one are the same a second time, those behind it get done.
Result<std::vector<Client::PeerFailure>> Client::try_change_peers(
    std::string_view ifname, std::span<const PeerChange> changes) {
    std::vector<PeerFailure> failures;
    size_t tried_alone = 0;  // changes before this one have been sent one by one
    for (PeersMessage& part : encode_peers(family_, ifname, changes)) {
        auto done = socket_.request(part.message);
        if (done) continue;
        if (is_of_the_device(done.error()))
            return failed(done.error().while_doing(fmt::format("wg {}: change peers", ifname)));
        for (size_t i = std::max(part.first, tried_alone); i <= part.last; ++i) {
            auto alone = change_peer(ifname, changes[i]);
            if (alone) continue;
            if (is_of_the_device(alone.error())) return failed(alone.error());
            failures.push_back({i, std::move(alone.error())});
        }
        tried_alone = part.last + 1;
    }
    return failures;
}

}  // namespace cvlan::wg
