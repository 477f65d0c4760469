// SPDX-License-Identifier: Apache-2.0
#pragma once

// Keeps a UDP port of this machine mapped at its gateway: PortMapping with a socket, and UPnP where
// that is switched on and neither PCP nor NAT-PMP is to be had. Of the loop's thread.
//
// It is of one gateway and one address of ours. Where one of them changes the owner makes another;
// the mapping at the old gateway runs out. Destroying it leaves the mapping, since the kernel's
// tunnels outlive the agent; release() is for the end of the tunnels.

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "base/workers.h"
#include "reach/port_mapping.h"
#include "reach/upnp.h"

namespace cvlan::reach {

struct MappedPort {
    MappingStatus status = MappingStatus::Searching;
    MappingProtocol protocol = MappingProtocol::None;
    std::optional<Endpoint> external{};
    std::string why{};  // of Refused
    bool operator==(const MappedPort&) const = default;
};

class PortMapper {
public:
    struct Options {
        Address gateway{};
        uint32_t if_index = 0;  // for a gateway with a link-local address
        // The address to be reached at; without it the one that the route to the gateway gives. For
        // IPv6 it is needed, since the gateway's is link-local and ours must not be.
        std::optional<Address> own{};
        uint16_t port = 0;  // the one to be mapped
        // The same after a restart, and not to be guessed: of a key of this machine.
        pcp::Nonce nonce{};
        uint32_t mark = 0;  // SO_MARK, if not 0 and CAP_NET_ADMIN is held
        // UPnP is switched on, and waits here. Outlives the mapper, and is stopped before the loop.
        Workers* upnp_on = nullptr;
        uint16_t server_port = natpmp::kServerPort;
        uint16_t announce_port = natpmp::kAnnouncePort;  // 0: do not listen
        // For tests.
        std::function<Result<UpnpMapping>(const UpnpRequest&)> upnp_map = reach::upnp_map;
        std::function<Result<void>(const UpnpMapping&)> upnp_unmap = reach::upnp_unmap;
    };
    using Changed = std::function<void(const MappedPort&)>;

    // Begins at once. `changed` runs from the loop, never from open(), and may destroy the mapper.
    // No way to the gateway is Code::Unavailable.
    static Result<std::unique_ptr<PortMapper>> open(EventLoop& loop, const Clock& clock,
                                                    Options options, Changed changed);
    ~PortMapper() = default;
    PortMapper(const PortMapper&) = delete;
    PortMapper& operator=(const PortMapper&) = delete;

    MappedPort current() const;
    // Looks whether something is due: for the end of a suspend, which timers do not count.
    void look();
    // Asks the gateway to take the mapping away, once, and does no more.
    void release();

private:
    PortMapper(EventLoop& loop, const Clock& clock, Options options, Changed changed);

    Result<void> open_socket();
    void open_announcements();
    void read_answers();
    void read_announcements();
    void settle();  // sends, sets the timer, tells what changed

    void look_at_upnp();
    bool wants_upnp() const;
    void upnp_answered(const Result<UpnpMapping>& mapping);
    void drop_upnp();

    EventLoop& loop_;
    const Clock& clock_;
    const Options options_;
    const Changed changed_;
    Address own_{};
    UniqueFd socket_, announcements_;
    std::optional<PortMapping> mapping_;
    std::optional<UpnpMapping> upnp_;
    std::optional<BootTime> upnp_at_;  // when to ask next
    BootTime upnp_until_{};
    int upnp_failures_ = 0;
    bool is_upnp_asked_ = false;
    bool is_released_ = false;
    MappedPort told_{};
    std::shared_ptr<void> alive_ = std::make_shared<char>();  // what was posted asks for it
    Watch watch_, announcement_watch_;
    Timer timer_;
};

}  // namespace cvlan::reach
