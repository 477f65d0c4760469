// SPDX-License-Identifier: Apache-2.0
// Random packets at a relay's UDP ports, and what comes back: of each kind of packet, how many
// bytes went out and came in. Run by integration/relay-flood, in a network namespace.
//
//   bench_datagrams ADDRESS COUNT SEED
//
// The same seed makes the same packets. Prints JSON, an object a kind.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string_view>

#include <fmt/format.h>

#include "base/unique_fd.h"

namespace {

using cvlan::UniqueFd;

constexpr uint16_t kBinding = 0x0001, kBind = 0x028A;  // stun/README.md
constexpr uint16_t kUsername = 0x0006, kIntegrity = 0x001C, kSoftware = 0x8022,
                   kFingerprint = 0x8028;
constexpr uint16_t kFirstPairPort = 49152, kPairPorts = 1024;

// One packet in the making. The generator is small: at a million packets its speed is that of all.
class Packet {
public:
    explicit Packet(std::minstd_rand& random) : random_(random) {}

    uint32_t below(uint32_t end) { return static_cast<uint32_t>(random_()) % end; }
    void clear() { size_ = 0; }
    void put_random(size_t count) {
        for (size_t i = 0; i < count; ++i) put8(below(256));
    }
    void put8(uint32_t value) { bytes_[size_++] = static_cast<uint8_t>(value); }
    void put16(uint32_t value) {
        put8(value >> 8 & 0xFF);
        put8(value & 0xFF);
    }
    void put_header(uint32_t type) {
        clear();
        put16(type);
        put16(0);
        for (const uint32_t c : {0x21U, 0x12U, 0xA4U, 0x42U}) put8(c);
        put_random(12);
    }
    template <class Value>
    void put_attribute(uint32_t type, uint32_t size, Value value) {
        put16(type);
        put16(size);
        for (uint32_t i = 0; i < size; ++i) put8(value());
        while (size_ % 4 != 0) put8(0);
        bytes_[2] = static_cast<uint8_t>((size_ - 20) >> 8);
        bytes_[3] = static_cast<uint8_t>(size_ - 20);
    }
    void spoil() {
        for (uint32_t i = below(3) + 1; i > 0; --i)
            bytes_[below(static_cast<uint32_t>(size_))] = static_cast<uint8_t>(below(256));
    }
    const uint8_t* data() const { return bytes_.data(); }
    size_t size() const { return size_; }

private:
    std::minstd_rand& random_;
    std::array<uint8_t, 2048> bytes_{};
    size_t size_ = 0;
};

void noise(Packet& p) { p.put_random(p.below(1400)); }

void binding(Packet& p) {
    p.put_header(kBinding);
    p.put_attribute(kSoftware, 32, [] { return ' '; });
}

// Without the room that an answer needs.
void bare_binding(Packet& p) { p.put_header(kBinding); }

void forged_bind(Packet& p) {
    p.put_header(kBind);
    p.put_attribute(kUsername, 32, [&] { return "0123456789abcdef"[p.below(16)]; });
    p.put_attribute(kIntegrity, 32, [&] { return p.below(256); });
}

void random_stun(Packet& p) {
    constexpr std::array types{0x0001U, 0x0101U, 0x0111U, 0x0011U, 0x028AU, 0x038AU};
    constexpr std::array attributes{0x0001U, 0x0006U, 0x0008U, 0x001CU, 0x0020U, 0x8022U, 0x8028U};
    p.put_header(p.below(4) != 0 ? types[p.below(types.size())] : p.below(65536));
    for (uint32_t i = p.below(6); i > 0; --i)
        p.put_attribute(p.below(4) != 0 ? attributes[p.below(attributes.size())] : p.below(65536),
                        p.below(64), [&] { return p.below(256); });
}

void spoilt_binding(Packet& p) {
    binding(p);
    p.spoil();
}

void spoilt_bind(Packet& p) {
    forged_bind(p);
    p.put_attribute(kFingerprint, 4, [&] { return p.below(256); });
    p.spoil();
}

void like_wireguard(Packet& p) {
    constexpr std::array sizes{28U, 60U, 88U, 144U, 1276U};
    p.put8(p.below(4) + 1);
    for (int i = 0; i < 3; ++i) p.put8(0);
    p.put_random(sizes[p.below(sizes.size())]);
}

struct Kind {
    std::string_view name;
    void (*make)(Packet&);
    UniqueFd socket{};
    uint64_t sent = 0, sent_bytes = 0, came = 0, came_bytes = 0;

    // Answers, and in between the errors that closed ports give.
    void drain() {
        std::array<uint8_t, 65536> answer;
        for (;;) {
            const ssize_t got = recv(socket.get(), answer.data(), answer.size(), MSG_DONTWAIT);
            if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
            if (got < 0) continue;
            ++came;
            came_bytes += static_cast<uint64_t>(got);
        }
    }
};

uint16_t some_port(Packet& p) {
    switch (p.below(5)) {
        case 0:
        case 1:
            return 3478;
        case 2:
            return 443;
        case 3:
            return static_cast<uint16_t>(kFirstPairPort + p.below(kPairPorts));
        default:
            return static_cast<uint16_t>(1 + p.below(65535));
    }
}

void send_all(std::array<Kind, 8>& kinds, in_addr relay, uint64_t count, uint32_t seed) {
    std::minstd_rand random(seed);
    Packet packet(random);
    for (uint64_t i = 0; i < count; ++i) {
        Kind& kind = kinds[i % kinds.size()];
        packet.clear();
        kind.make(packet);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(some_port(packet));
        to.sin_addr = relay;
        if (sendto(kind.socket.get(), packet.data(), packet.size(), 0,
                   reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0) {
            ++kind.sent;
            kind.sent_bytes += packet.size();
        }
        if (i % 1024 == 0)
            for (Kind& one : kinds) one.drain();
    }
}

}  // namespace

int main(int argc, char** argv) {
    in_addr relay{};
    if (argc != 4 || inet_pton(AF_INET, argv[1], &relay) != 1) {
        fmt::print(stderr, "usage: bench_datagrams ADDRESS COUNT SEED\n");
        return 2;
    }
    std::array<Kind, 8> kinds{{{"random", noise},
                               {"random STUN", random_stun},
                               {"Binding", binding},
                               {"Binding, spoilt", spoilt_binding},
                               {"Binding, bare", bare_binding},
                               {"Bind, forged", forged_bind},
                               {"Bind, spoilt", spoilt_bind},
                               {"like WireGuard", like_wireguard}}};
    for (Kind& kind : kinds) {
        kind.socket = UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        if (!kind.socket) {
            fmt::print(stderr, "bench_datagrams: socket: {}\n", std::strerror(errno));
            return 1;
        }
    }
    const auto began = std::chrono::steady_clock::now();
    send_all(kinds, relay, std::strtoull(argv[2], nullptr, 10),
             static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10)));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    poll(nullptr, 0, 500);  // for the last answers
    fmt::print("{{\"seconds\": {:.2f}, \"kinds\": {{", took.count());
    for (Kind& kind : kinds) {
        kind.drain();
        fmt::print(
            "{}\"{}\": {{\"sent\": {}, \"bytes\": {}, \"answers\": {}, \"answer_bytes\": {}}}",
            &kind == kinds.data() ? "" : ", ", kind.name, kind.sent, kind.sent_bytes, kind.came,
            kind.came_bytes);
    }
    fmt::print("}}}}\n");
    return 0;
}
