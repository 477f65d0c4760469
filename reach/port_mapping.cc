// SPDX-License-Identifier: Apache-2.0
#include "reach/port_mapping.h"

#include <algorithm>

namespace cvlan::reach {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::seconds;

// RFC 6887 section 8.1.1.
constexpr milliseconds kFirstPcpWait = 3s;
constexpr milliseconds kMostPcpWait = 1024s;
// RFC 6886 section 3.1: nine tries, the last waits for 64 s.
constexpr milliseconds kFirstNatPmpWait = 250ms;
constexpr int kNatPmpTries = 9;
// PCP is asked first, and has a round trip on a home's network to say that it is there.
constexpr milliseconds kNatPmpDelay = 500ms;
// By then NAT-PMP was asked three times, PCP once.
constexpr milliseconds kPatience = 2500ms;
// RFC 6887 section 11.2.1.
constexpr milliseconds kLeastRenewal = 4s;
// Section 14.1.3: those who heard that the gateway began anew do not all ask at once.
constexpr milliseconds kAnnounceSpread = 5s;
// No gateway's word binds us for longer, or to more often, than this.
constexpr milliseconds kShortPause = 30s;
constexpr milliseconds kLongPause = 30min;
constexpr milliseconds kMostPause = 24h;
constexpr milliseconds kLeastLife = 2 * kLeastRenewal;
constexpr milliseconds kAnnouncePause = 10s;

std::optional<BootTime> sooner(std::optional<BootTime> a, std::optional<BootTime> b) {
    if (!a || !b) return a ? a : b;
    return std::min(*a, *b);
}

template <typename Time>
bool is_due(const std::optional<Time>& at, BootTime now) {
    return at && now >= *at;
}

}  // namespace

std::string_view name_of(MappingStatus status) {
    switch (status) {
        case MappingStatus::Searching:
            return "searching";
        case MappingStatus::Mapped:
            return "mapped";
        case MappingStatus::Refused:
            return "refused";
        case MappingStatus::Absent:
            return "absent";
    }
    return "";
}

std::string_view name_of(MappingProtocol protocol) {
    switch (protocol) {
        case MappingProtocol::None:
            return "none";
        case MappingProtocol::Pcp:
            return "PCP";
        case MappingProtocol::NatPmp:
            return "NAT-PMP";
        case MappingProtocol::Upnp:
            return "UPnP";
    }
    return "";
}

milliseconds PortMapping::spread(milliseconds from, milliseconds span) {
    return from + milliseconds(std::uniform_int_distribution<int64_t>(0, span.count())(random_));
}

void PortMapping::start(BootTime now) {
    external_.reset();
    protocol_ = MappingProtocol::None;
    status_ = MappingStatus::Searching;
    why_.clear();
    is_lost_ = false;
    renew_at_.reset();
    expires_at_.reset();
    absent_at_ = now + kPatience;
    epoch_.forget();
    search(now);
    tick(now);
}

// From the beginning, whatever is known.
void PortMapping::search(BootTime now) {
    pcp_at_ = now;
    pcp_wait_ = 0ms;
    natpmp_tries_ = 0;
    natpmp_at_.reset();
    natpmp_address_.reset();
    natpmp_map_.reset();
    if (wanted_.own.is_v4()) natpmp_at_ = now + kNatPmpDelay;
}

void PortMapping::tick(BootTime now) {
    if (is_due(expires_at_, now)) return start(now);
    if (is_due(renew_at_, now)) renew(now);
    if (is_due(absent_at_, now)) {
        absent_at_.reset();
        status_ = MappingStatus::Absent;
    }
    if (is_due(pcp_at_, now)) {
        send_pcp(static_cast<uint32_t>(wanted_.lifetime.count()));
        pcp_wait_ = pcp_wait_ == 0ms ? kFirstPcpWait : std::min(2 * pcp_wait_, kMostPcpWait);
        pcp_wait_ = spread(pcp_wait_ * 9 / 10, pcp_wait_ / 5);
        pcp_at_ = now + pcp_wait_;
    }
    if (!is_due(natpmp_at_, now)) return;
    if (natpmp_tries_ == kNatPmpTries) {
        natpmp_at_.reset();
        // Where it was NAT-PMP that answered PCP's request, nobody else is left to ask.
        if (!pcp_at_) pcp_at_ = now + kMostPcpWait;
        return;
    }
    send_natpmp(natpmp_address_ ? NatPmpStep::Map : NatPmpStep::Address);
    natpmp_at_ = now + kFirstNatPmpWait * (1 << natpmp_tries_++);
}

std::optional<BootTime> PortMapping::deadline() const {
    return sooner(sooner(sooner(pcp_at_, natpmp_at_), sooner(renew_at_, expires_at_)), absent_at_);
}

// RFC 6887 section 11.2.1: where nobody answers, again at half of what is left.
void PortMapping::renew(BootTime now) {
    const auto lifetime_s = static_cast<uint32_t>(wanted_.lifetime.count());
    natpmp_address_.reset();
    natpmp_map_.reset();
    if (protocol_ == MappingProtocol::Pcp)
        send_pcp(lifetime_s);
    else
        send_natpmp(NatPmpStep::Both);
    const milliseconds left = *expires_at_ - now;
    renew_at_ =
        now + (is_lost_ ? kLeastRenewal : std::max(spread(left / 2, left / 8), kLeastRenewal));
}

void PortMapping::send_pcp(uint32_t lifetime_s) {
    pcp::MapRequest request{.client = wanted_.own,
                            .nonce = wanted_.nonce,
                            .internal_port = wanted_.port,
                            .suggested = suggested_,
                            .lifetime_s = lifetime_s};
    // The family of what is suggested says which is wanted, so an unspecified one is of ours.
    const Address any = wanted_.own.is_v4() ? Address() : Address::parse("::").value();
    if (suggested_.port == 0) request.suggested = {any, wanted_.port};
    if (lifetime_s == 0) request.suggested = {any, 0};
    const auto bytes = pcp::encode(request);
    packets_.emplace_back(bytes.begin(), bytes.end());
}

// A search asks for the address first, which changes nothing: a gateway with both answers in order,
// so that PCP has answered before a port is asked for. Else the mapping would be NAT-PMP's, and
// PCP's nonce no longer renew it or take it away (seen with miniupnpd on a slow machine).
void PortMapping::send_natpmp(NatPmpStep step) {
    const auto address = natpmp::address_request();
    if (step != NatPmpStep::Map) packets_.emplace_back(address.begin(), address.end());
    if (step == NatPmpStep::Address) return;
    const auto bytes =
        natpmp::encode({.internal_port = wanted_.port,
                        .suggested_port = suggested_.port != 0 ? suggested_.port : wanted_.port,
                        .lifetime_s = static_cast<uint32_t>(wanted_.lifetime.count())});
    packets_.emplace_back(bytes.begin(), bytes.end());
}

void PortMapping::received(ByteView datagram, BootTime now) {
    if (datagram.empty() || !deadline()) return;  // released, or not begun
    if (datagram[0] != 0) {
        if (const auto answer = pcp::parse(datagram)) take(*answer, now);
        return;
    }
    if (!wanted_.own.is_v4()) return;
    const auto answer = natpmp::parse(datagram);
    if (!answer) return;
    std::visit([&](const auto& one) { take(one, now); }, *answer);
}

void PortMapping::take(const pcp::Answer& answer, BootTime now) {
    const auto& mapping = answer.mapping;
    if (!mapping || mapping->nonce != wanted_.nonce || mapping->internal_port != wanted_.port)
        return;
    // Late: NAT-PMP was quicker.
    if (protocol_ == MappingProtocol::NatPmp) return;
    if (answer.outcome == pcp::Outcome::Success) {
        (void)epoch_.is_continued(answer.epoch_s, now);  // this mapping is of the new one
        return adopt(MappingProtocol::Pcp, mapping->external, answer.lifetime_s, now);
    }
    look_at_epoch(answer.epoch_s, now);
    refuse(fmt::format("PCP: {}", name_of(answer.outcome)),
           std::min<milliseconds>(seconds(answer.lifetime_s), kMostPause), now);
}

void PortMapping::take(const natpmp::AddressAnswer& answer, BootTime now) {
    if (protocol_ == MappingProtocol::Pcp) return;
    const bool is_search = protocol_ == MappingProtocol::None;
    if (is_search && natpmp_tries_ == 0) return;  // not asked for
    if (answer.outcome == natpmp::Outcome::Success) {
        const bool is_first = !natpmp_address_;
        natpmp_address_ = answer.external;
        if (!is_search) return take_natpmp(now);
        if (!is_first) return;
        natpmp_at_ = now;
        natpmp_tries_ = 0;
        return tick(now);
    }
    refuse(fmt::format("NAT-PMP: {}", name_of(answer.outcome)), kShortPause, now);
}

void PortMapping::take(const natpmp::MapAnswer& answer, BootTime now) {
    if (protocol_ == MappingProtocol::Pcp) return;
    const bool is_search = protocol_ == MappingProtocol::None;
    if (answer.outcome == natpmp::Outcome::UnsupportedVersion && is_search && pcp_at_) {
        // The answer to PCP's request of a gateway that has NAT-PMP alone.
        pcp_at_.reset();
        natpmp_at_ = now;
        natpmp_tries_ = 0;
        return tick(now);
    }
    if (answer.outcome != natpmp::Outcome::Success) {
        const bool is_passing = answer.outcome == natpmp::Outcome::NetworkFailure ||
                                answer.outcome == natpmp::Outcome::OutOfResources;
        return refuse(fmt::format("NAT-PMP: {}", name_of(answer.outcome)),
                      is_passing ? kShortPause : kLongPause, now);
    }
    if (answer.internal_port != wanted_.port) return;
    natpmp_map_ = answer;
    (void)epoch_.is_continued(answer.epoch_s, now);
    take_natpmp(now);
}

void PortMapping::take_natpmp(BootTime now) {
    if (!natpmp_address_ || !natpmp_map_) return;
    adopt(MappingProtocol::NatPmp, {*natpmp_address_, natpmp_map_->external_port},
          natpmp_map_->lifetime_s, now);
}

void PortMapping::adopt(MappingProtocol protocol, const Endpoint& external, uint32_t lifetime_s,
                        BootTime now) {
    // A gateway whose own uplink is down has no address to map to.
    if (external.address.is_unspecified() || external.port == 0 || lifetime_s == 0)
        return refuse(fmt::format("{}: no external address", name_of(protocol)), kShortPause, now);
    status_ = MappingStatus::Mapped;
    protocol_ = protocol;
    external_ = suggested_ = external;
    why_.clear();
    pcp_at_.reset();
    natpmp_at_.reset();
    absent_at_.reset();
    is_lost_ = false;
    natpmp_address_.reset();
    natpmp_map_.reset();
    const milliseconds life = std::clamp<milliseconds>(seconds(lifetime_s), kLeastLife, kMostPause);
    expires_at_ = now + life;
    renew_at_ = now + std::max(spread(life / 2, life / 8), kLeastRenewal);
}

// Of a mapping that stands nothing is lost before its time.
void PortMapping::refuse(std::string why, milliseconds pause, BootTime now) {
    pause = std::max(pause, kShortPause);
    why_ = std::move(why);
    if (expires_at_) {
        renew_at_ = now + spread(pause, pause / 8);
        return;
    }
    const BootTime again = now + spread(pause, pause / 8);
    search(again);
    absent_at_ = again + kPatience;
    status_ = MappingStatus::Refused;
}

void PortMapping::look_at_epoch(uint32_t epoch_s, BootTime now) {
    if (!epoch_.is_continued(epoch_s, now) && expires_at_) renew_soon(now);
}

// The mapping is lost, most likely; where nobody answers it does not stand for long. A gateway that
// is just starting may lose the first request, so that it is not the only one.
void PortMapping::renew_soon(BootTime now) {
    is_lost_ = true;
    renew_at_ = sooner(renew_at_, now + spread(0ms, kAnnounceSpread));
    expires_at_ = sooner(expires_at_, now + kShortPause * 2);
}

void PortMapping::announced(ByteView datagram, BootTime now) {
    if (datagram.empty() || !deadline()) return;
    std::optional<uint32_t> epoch_s;
    std::optional<Address> address;
    if (datagram[0] == 0) {
        const auto answer = natpmp::parse(datagram);
        const auto* said = answer ? std::get_if<natpmp::AddressAnswer>(&*answer) : nullptr;
        if (!said || said->outcome != natpmp::Outcome::Success) return;
        epoch_s = said->epoch_s;
        address = said->external;
    } else {
        const auto answer = pcp::parse(datagram);
        if (!answer || answer->opcode != pcp::Opcode::Announce) return;
        epoch_s = answer->epoch_s;
    }
    // Anybody on the link can say so in the gateway's name.
    if (announced_at_ && now - *announced_at_ < kAnnouncePause) return;
    announced_at_ = now;
    if (!external_) return search(now + spread(0ms, kAnnounceSpread));
    if (address && *address != external_->address) renew_soon(now);
    look_at_epoch(*epoch_s, now);
}

void PortMapping::unreachable() {
    if (status_ == MappingStatus::Searching) status_ = MappingStatus::Absent;
}

void PortMapping::release() {
    if (protocol_ == MappingProtocol::Pcp) send_pcp(0);
    if (protocol_ == MappingProtocol::NatPmp) {
        const auto bytes = natpmp::encode({.internal_port = wanted_.port});
        packets_.emplace_back(bytes.begin(), bytes.end());
    }
    external_.reset();
    protocol_ = MappingProtocol::None;
    status_ = MappingStatus::Absent;
    pcp_at_ = natpmp_at_ = absent_at_ = renew_at_ = expires_at_ = std::nullopt;
}

}  // namespace cvlan::reach
