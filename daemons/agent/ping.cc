// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/ping.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "netlink/netns.h"

namespace cvlan::agent {

namespace {

constexpr size_t kCookieSize = 16;
constexpr size_t kEchoHead = 8;  // type, code, checksum, id, sequence

// RFC 1071. The kernel fills in ICMPv6's by itself.
uint16_t checksum(ByteView bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.size(); i += 2)
        sum += static_cast<uint32_t>(bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0));
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~sum);
}

Bytes echo_request(bool is_v4, const Bytes& cookie) {
    Bytes packet(kEchoHead + cookie.size(), 0);
    packet[0] = is_v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    packet[4] = cookie[0];
    packet[5] = cookie[1];
    packet[7] = 1;
    std::memcpy(packet.data() + kEchoHead, cookie.data(), cookie.size());
    if (is_v4) {
        const uint16_t sum = checksum(packet);
        packet[2] = static_cast<uint8_t>(sum >> 8);
        packet[3] = static_cast<uint8_t>(sum);
    }
    return packet;
}

// The answer to our cookie. A raw IPv4 socket hands us the IP header too, and everybody's packets.
bool is_our_reply(ByteView packet, bool is_v4, bool is_raw, const Bytes& cookie) {
    if (is_v4 && is_raw) {
        if (packet.empty()) return false;
        const size_t header = static_cast<size_t>(packet[0] & 0x0f) * 4;
        if (header < 20 || packet.size() < header) return false;
        packet = packet.subspan(header);
    }
    if (packet.size() < kEchoHead + kCookieSize) return false;
    if (packet[0] != (is_v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY)) return false;
    return std::memcmp(packet.data() + kEchoHead, cookie.data(), kCookieSize) == 0;
}

}  // namespace

struct Ping::State {
    UniqueFd fd;
    bool is_v4 = true;
    bool is_raw = true;
    Bytes cookie;
    std::chrono::steady_clock::time_point sent;
    Watch readable;
    Timer timeout;
    Done done;

    Result<void> open(const Target& target) {
        const int protocol = is_v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
        constexpr int kHow = SOCK_CLOEXEC | SOCK_NONBLOCK;
        fd.reset(socket(target.address.af(), SOCK_RAW | kHow, protocol));
        is_raw = fd || errno != EPERM;
        if (!is_raw) fd.reset(socket(target.address.af(), SOCK_DGRAM | kHow, protocol));
        if (!fd) return failed(errno_error("ping socket"));
        return {};
    }
    void finish(std::optional<std::chrono::microseconds> trip) {
        readable.cancel();
        timeout.cancel();
        auto run = std::move(done);
        run(trip);  // may destroy us
    }
    void read() {
        std::array<uint8_t, 2048> buffer{};
        while (true) {
            const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (got < 0) return;
            const ByteView packet(buffer.data(), static_cast<size_t>(got));
            if (!is_our_reply(packet, is_v4, is_raw, cookie)) continue;
            return finish(std::chrono::duration_cast<std::chrono::microseconds>(
                std::chrono::steady_clock::now() - sent));
        }
    }
};

static Result<void> open_in(const Ping::Target& target, Ping::State& state) {
    auto netns = netlink::NetnsFd::named(target.netns);
    if (!netns) return failed(netns.error());
    return netns->run([&] { return state.open(target); });
}

Ping::Ping(std::unique_ptr<State> state) : state_(std::move(state)) {}
Ping::~Ping() = default;

Result<std::unique_ptr<Ping>> Ping::start(EventLoop& loop, const Target& target, Done done) {
    auto state = std::make_unique<State>();
    state->is_v4 = target.address.is_v4();
    state->cookie = random_bytes(kCookieSize);
    auto opened = target.netns.empty() ? state->open(target) : open_in(target, *state);
    if (!opened) return failed(opened.error());
    if (setsockopt(state->fd.get(), SOL_SOCKET, SO_BINDTODEVICE, target.device.c_str(),
                   static_cast<socklen_t>(target.device.size())) != 0 &&
        errno != EPERM)
        return failed(errno_error("ping through " + target.device));
    const Bytes packet = echo_request(state->is_v4, state->cookie);
    sockaddr_storage to{};
    const socklen_t size = Endpoint{target.address, 0}.to_sockaddr(to);
    state->sent = std::chrono::steady_clock::now();
    // What can not be sent now (no endpoint yet, no route) is an answer that does not come.
    (void)sendto(state->fd.get(), packet.data(), packet.size(), 0,
                 reinterpret_cast<const sockaddr*>(&to), size);
    State* raw = state.get();
    raw->done = std::move(done);
    raw->readable = loop.on_readable(raw->fd.get(), [raw] { raw->read(); });
    raw->timeout = loop.after(target.timeout, [raw] { raw->finish(std::nullopt); });
    return std::make_unique<Ping>(std::move(state));
}

}  // namespace cvlan::agent
