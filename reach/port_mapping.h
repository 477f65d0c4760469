// SPDX-License-Identifier: Apache-2.0
#pragma once

// A UDP port of ours that the gateway forwards to us, by PCP (RFC 6887) or, where it knows only
// that, NAT-PMP (RFC 6886). For IPv6 it is a hole in the gateway's firewall, by PCP.
//
// Pure: what came and the time go in; packets to send, the next time to look and a mapping come
// out. port_mapper.h has the socket.

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "reach/gateway_epoch.h"
#include "reach/natpmp.h"
#include "reach/pcp.h"

namespace cvlan::reach {

enum class MappingStatus : uint8_t {
    Searching,  // asked, and nobody had the time to answer
    Mapped,
    Refused,  // the gateway understands, and does not; why() says what it says
    Absent,   // nobody answers; asked on, less and less
};
enum class MappingProtocol : uint8_t { None, Pcp, NatPmp, Upnp };
std::string_view name_of(MappingStatus status);
std::string_view name_of(MappingProtocol protocol);

class PortMapping {
public:
    struct Wanted {
        Address own;         // the one that the gateway sees
        uint16_t port = 0;   // the internal one, also asked for outside
        pcp::Nonce nonce{};  // the same after a restart, else a PCP gateway refuses what is ours
        std::chrono::seconds lifetime{7200};  // RFC 6886 section 3.3
    };
    // `seed` is of the jitter.
    PortMapping(const Wanted& wanted, uint32_t seed) : wanted_(wanted), random_(seed) {}

    void start(BootTime now);  // forgets what was, but not which external port it had
    // Looks whether something is due. To be called at deadline(), and at any other time.
    void tick(BootTime now);
    std::optional<BootTime> deadline() const;
    // What the gateway sent to our port. What is not an answer to us changes nothing.
    void received(ByteView datagram, BootTime now);
    // What the gateway sent to port 5350 of all: it began anew, or has another address.
    void announced(ByteView datagram, BootTime now);
    // ICMP says that nobody listens at the gateway's port.
    void unreachable();
    // Takes the mapping away: one packet, not repeated. Then there is nothing due any more.
    void release();

    std::vector<Bytes> take_packets() { return std::exchange(packets_, {}); }

    std::optional<Endpoint> external() const { return external_; }
    MappingStatus status() const { return status_; }
    MappingProtocol protocol() const { return protocol_; }
    const std::string& why() const { return why_; }  // of Refused

private:
    using Milliseconds = std::chrono::milliseconds;

    void take(const pcp::Answer& answer, BootTime now);
    void take(const natpmp::AddressAnswer& answer, BootTime now);
    void take(const natpmp::MapAnswer& answer, BootTime now);
    void take_natpmp(BootTime now);
    void adopt(MappingProtocol protocol, const Endpoint& external, uint32_t lifetime_s,
               BootTime now);
    void refuse(std::string why, Milliseconds pause, BootTime now);
    void renew_soon(BootTime now);
    void look_at_epoch(uint32_t epoch_s, BootTime now);

    void search(BootTime now);
    void renew(BootTime now);
    void send_pcp(uint32_t lifetime_s);
    enum class NatPmpStep { Address, Map, Both };
    void send_natpmp(NatPmpStep step);
    // Between `from` and `from + span`.
    Milliseconds spread(Milliseconds from, Milliseconds span);

    const Wanted wanted_;
    std::minstd_rand random_;
    std::vector<Bytes> packets_;

    MappingStatus status_ = MappingStatus::Searching;
    MappingProtocol protocol_ = MappingProtocol::None;
    std::optional<Endpoint> external_;
    std::string why_;
    Endpoint suggested_;  // what it was last
    GatewayEpoch epoch_;

    // The search: when to ask next by each, and when to call it in vain.
    std::optional<BootTime> pcp_at_, natpmp_at_, absent_at_;
    Milliseconds pcp_wait_{0};
    int natpmp_tries_ = 0;
    // The two answers that make a mapping of NAT-PMP.
    std::optional<Address> natpmp_address_;
    std::optional<natpmp::MapAnswer> natpmp_map_;

    std::optional<BootTime> renew_at_, expires_at_;
    bool is_lost_ = false;  // the gateway forgot it, as its epoch says
    std::optional<BootTime> announced_at_;
};

}  // namespace cvlan::reach
