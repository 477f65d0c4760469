// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/path_sockets.h"

#include "base/log.h"
#include "reconcile/marks.h"

namespace cvlan::agent {

void KernelSockets::set(const std::map<std::string, uint16_t>& ports) {
    std::erase_if(open_, [&](const auto& entry) {
        const auto wanted = ports.find(entry.first.first);
        return wanted == ports.end() || wanted->second != entry.second.socket->place().port;
    });
    const std::string before = std::exchange(trouble_, {});
    for (const auto& [device, port] : ports)
        for (const Family family : {Family::V4, Family::V6})
            if (!open_.contains({device, family})) open({device, family}, port);
    if (!trouble_.empty() && trouble_ != before)
        log::warn("agent.paths_unwatched", {{"error", trouble_}});
}

void KernelSockets::open(const Key& key, uint16_t port) {
    auto socket = reach::RawUdp::open(netns_, {key.second, port, reconcile::kMarkBase});
    if (!socket) {
        // A machine without IPv6 is as it should be.
        if (socket.error().code != Code::Unsupported) trouble_ = socket.error().message;
        return;
    }
    Open& opened = open_[key];
    opened.socket = std::make_unique<reach::RawUdp>(std::move(*socket));
    opened.watch = loop_.on_readable(opened.socket->fd(), [this, key] { receive(key); });
}

void KernelSockets::receive(const Key& key) {
    const auto found = open_.find(key);
    if (found == open_.end() || !came_) return;
    // What comes may not close the socket it came by: set() is called from a round alone.
    (void)found->second.socket->receive(
        [&](const reach::RawUdp::Incoming& datagram) { came_(key.first, datagram); });
}

bool KernelSockets::send(const std::string& device, const reach::RawUdp::Outgoing& datagram) {
    const auto found = open_.find({device, datagram.to.address.family()});
    return found != open_.end() && found->second.socket->send(datagram);
}

}  // namespace cvlan::agent
