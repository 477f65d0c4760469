// SPDX-License-Identifier: Apache-2.0
// What it costs to relay UDP in the kernel: bench_forwarding [PACKETS A RUN [--json]], as root, on
// a quiet machine with two cores.
//
// A - R - B are namespaces of this machine (tests/support/three_netns.h). 64 flows of 148 bytes go
// from A to B, sent as fast as one core can. Within each send the kernel does all of it on that
// core: A's sending, R's routing, B's taking and dropping; so the time of N packets over N is the
// CPU time of one. Runs alternate: to B itself (plain routing), and to R, whose kernel relays to B;
// what relaying costs is the difference of the two runs of a pair, and its median. Coturn, where
// installed, runs in R on the other core, flooded: its cost is its CPU time over the
// packets that B got, plus what A's core does to hand a packet to a socket in R, less plain
// routing.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "relay/forwarding.h"
#include "tests/bench/samples.h"
#include "tests/bench/turn_client.h"
#include "tests/support/three_netns.h"

namespace cvlan::bench {
namespace {

using relay::Forwarding;
using relay::Pair;
using tests::need;
using tests::ThreeNetns;

constexpr size_t kFlows = 64;
constexpr size_t kPayload = 148;
constexpr int kRuns = 200;
constexpr size_t kManyPairs = 100'000;
constexpr size_t kSingly = 20'000;
constexpr std::chrono::seconds kLong{3600};

struct Family {
    const char* a;
    const char* b;
    const char* relay;
};
constexpr Family kV4{"10.1.0.2", "10.2.0.2", "10.9.0.1"};
constexpr Family kV6{"fd01::2", "fd02::2", "fd09::1"};

Endpoint place(const char* address, size_t port) {
    return {need(Address::parse(address), "address"), static_cast<uint16_t>(port)};
}

void on_core(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) std::abort();
}

// A builder on the same machine would else be in the middle of a burst.
void before_others() {
    const sched_param first{.sched_priority = 1};
    (void)sched_setscheduler(0, SCHED_FIFO, &first);  // where it may not: on a quiet machine
}

void check(const Result<void>& done, const char* what) {
    if (done) return;
    fmt::print(stderr, "bench_forwarding: {}: {}\n", what, done.error().message);
    std::exit(1);
}

std::vector<Pair> flows_of(const Family& family) {
    std::vector<Pair> pairs;
    for (size_t i = 0; i < kFlows; ++i)
        pairs.push_back({fmt::format("flow {}", i), place(family.relay, 0).address,
                         static_cast<uint16_t>(49152 + i), place(family.a, 20000 + i),
                         place(family.b, 5000 + i)});
    return pairs;
}

// Pairs that carry nothing: other ports of A and B, a port of the relay for each 100.
std::vector<Pair> idle_pairs(const Family& family, size_t count) {
    std::vector<Pair> pairs;
    for (size_t i = 0; i < count; ++i)
        pairs.push_back({fmt::format("idle {}", i), place(family.relay, 0).address,
                         static_cast<uint16_t>(50000 + i / 100), place(family.a, 30000 + i % 100),
                         place(family.b, 10000 + i % 100)});
    return pairs;
}

class Flows {
public:
    // From A's ports `from` on to those of `to` on, or all to the one.
    Flows(const ThreeNetns& net, const Endpoint& from, const Endpoint& to, size_t step = 1) {
        for (size_t i = 0; i < kFlows; ++i) {
            sockets_.emplace_back(net.a,
                                  Endpoint{from.address, static_cast<uint16_t>(from.port + i)});
            const Endpoint peer{to.address, static_cast<uint16_t>(to.port + step * i)};
            sockaddr_storage storage{};
            const socklen_t size = peer.to_sockaddr(storage);
            if (connect(sockets_.back().fd(), reinterpret_cast<sockaddr*>(&storage), size) != 0)
                std::abort();
        }
    }

    // Microseconds a packet.
    double burst(int packets, ByteView payload) const {
        size_t next = 0;
        const double ms = milliseconds([&] {
            for (int i = 0; i < packets; ++i) {
                (void)send(sockets_[next].fd(), payload.data(), payload.size(), 0);
                if (++next == sockets_.size()) next = 0;
            }
        });
        return ms * 1000 / packets;
    }

    const std::vector<tests::UdpSocket>& sockets() const { return sockets_; }

private:
    std::vector<tests::UdpSocket> sockets_;
};

// Packets that B has got, and dropped.
uint64_t arrived(const ThreeNetns& net) {
    const std::string shown = ThreeNetns::shell(net.b, "nft list counter inet sink arrived");
    const size_t at = shown.find("packets ");
    return at == std::string::npos ? 0 : std::stoull(shown.substr(at + 8));
}

// User and system time of a process, in clock ticks.
uint64_t ticks_of(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string text((std::istreambuf_iterator<char>(file)), {});
    std::istringstream rest(text.substr(text.rfind(')') + 2));
    std::string field;
    uint64_t user = 0;
    uint64_t system = 0;
    for (int i = 0; i < 11; ++i) rest >> field;
    rest >> user >> system;
    return user + system;
}

// A process in R which does what the relay's does: it has put the pairs there, holds a socket on
// each port, and sleeps.
pid_t start_relay(const ThreeNetns& net, const Family& family) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) std::abort();
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        auto forwarding = need(Forwarding::open(net.r), "open");
        need(forwarding.install({place(kV4.relay, 0).address, place(kV6.relay, 0).address}),
             "install");
        check(forwarding.put(flows_of(family), kLong), "put");
        std::vector<tests::UdpSocket> sockets;
        for (const Pair& pair : flows_of(family))
            sockets.emplace_back(net.r, Endpoint{pair.own, pair.port});
        (void)!write(ready[1], "", 1);
        for (;;) pause();
    }
    close(ready[1]);
    char byte;
    if (read(ready[0], &byte, 1) != 1) std::exit(1);
    close(ready[0]);
    return pid;
}

void stop(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
}

struct Cost {
    Samples plain;
    Samples relayed;
    uint64_t lost = 0;
    double relay_cpu_pct = 0;  // of the relay's process

    Samples extra() const {
        Samples differences;
        for (size_t i = 0; i < plain.size(); ++i) differences.push_back(relayed[i] - plain[i]);
        return differences;
    }
};

Cost measure(const ThreeNetns& net, const Family& family, int packets, pid_t relay) {
    const Bytes payload(kPayload, 4);  // the first byte is that of WireGuard's data
    const Flows plain(net, place(family.a, 40000), place(family.b, 5000));
    const Flows relayed(net, place(family.a, 20000), place(family.relay, 49152));
    plain.burst(packets, payload);
    relayed.burst(packets, payload);
    Cost cost;
    const uint64_t before = arrived(net);
    const uint64_t ticks = ticks_of(relay);
    const double ms = milliseconds([&] {
        for (int i = 0; i < kRuns; ++i) {
            if (i % 2 == 0) cost.relayed.push_back(relayed.burst(packets, payload));
            cost.plain.push_back(plain.burst(packets, payload));
            if (i % 2 != 0) cost.relayed.push_back(relayed.burst(packets, payload));
        }
    });
    const auto ticks_ms = 1000.0 * static_cast<double>(ticks_of(relay) - ticks) /
                          static_cast<double>(sysconf(_SC_CLK_TCK));
    cost.relay_cpu_pct = 100 * ticks_ms / ms;
    const uint64_t sent = 2ull * kRuns * static_cast<uint64_t>(packets);
    cost.lost = sent - std::min(sent, arrived(net) - before);
    return cost;
}

// Pairs a second, put one by one into a table that has most of kManyPairs.
double fill(const ThreeNetns& net, const Family& family) {
    auto forwarding = need(Forwarding::open(net.r), "open");
    need(forwarding.install({place(kV4.relay, 0).address, place(kV6.relay, 0).address}), "install");
    const auto pairs = idle_pairs(family, kManyPairs);
    check(forwarding.put(std::span(pairs).first(kManyPairs - kSingly), kLong), "put many");
    const double ms = milliseconds([&] {
        for (const Pair& pair : std::span(pairs).last(kSingly))
            check(forwarding.put({&pair, 1}, kLong), "put one");
    });
    return 1000.0 * kSingly / ms;
}

pid_t start_coturn(const ThreeNetns& net) {
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setns(net.r.fd(), CLONE_NEWNET) != 0) _exit(1);
        on_core(1);
        const int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execlp("turnserver", "turnserver", "-n", "--no-auth", "--no-tls", "--no-dtls", "--no-cli",
               "-m", "1", "-L", kV4.relay, "-E", kV4.relay, "--log-file", "/dev/null", "--pidfile",
               "/tmp/bench-turnserver.pid", nullptr);
        _exit(1);
    }
    return pid;
}

struct Coturn {
    double us = 0;        // a packet, above plain routing
    double core_us = 0;   // of its own core
    double local_us = 0;  // of A's core
    uint64_t delivered = 0;
};

// Nothing without coturn.
std::optional<Coturn> measure_coturn(const ThreeNetns& net, int packets, double plain_us) {
    if (std::system("command -v turnserver > /dev/null") != 0) return std::nullopt;
    const pid_t pid = start_coturn(net);
    const Flows flows(net, place(kV4.a, 45000), place(kV4.relay, 3478), 0);
    for (size_t i = 0; i < kFlows; ++i) {
        if (open_channel(flows.sockets()[i].fd(), place(kV4.b, 5000 + i))) continue;
        fmt::print(stderr, "bench_forwarding: coturn gives no channel\n");
        stop(pid);
        return std::nullopt;
    }
    const Bytes message = channel_data(Bytes(kPayload, 4));
    flows.burst(packets, message);
    const uint64_t before = arrived(net);
    const uint64_t ticks = ticks_of(pid);
    Samples local;
    for (int i = 0; i < kRuns; ++i) local.push_back(flows.burst(packets, message));
    const double busy_us = 1e6 * static_cast<double>(ticks_of(pid) - ticks) /
                           static_cast<double>(sysconf(_SC_CLK_TCK));
    Coturn coturn{.local_us = median(local), .delivered = arrived(net) - before};
    stop(pid);
    if (coturn.delivered == 0) return std::nullopt;
    coturn.core_us = busy_us / static_cast<double>(coturn.delivered);
    coturn.us = coturn.core_us + coturn.local_us - plain_us;
    return coturn;
}

struct Found {
    Cost v4, many, v6;
    double pairs_per_second = 0;
    size_t pairs = 0;
    double adopt_ms = 0;  // what a relay that starts takes to read them all
    std::optional<Coturn> coturn;
};

Found measure_all(int packets) {
    const ThreeNetns net;
    net.forward();
    ThreeNetns::shell(net.b,
                      "nft 'add table inet sink; add counter inet sink arrived; "
                      "add chain inet sink in { type filter hook prerouting priority -500; }; "
                      "add rule inet sink in udp dport 5000-5999 counter name arrived drop'");
    on_core(0);
    before_others();
    Found found;
    const pid_t relay = start_relay(net, kV4);
    found.v4 = measure(net, kV4, packets, relay);
    found.pairs_per_second = fill(net, kV4);
    found.many = measure(net, kV4, packets, relay);
    found.adopt_ms = milliseconds(
        [&] { found.pairs = need(need(Forwarding::open(net.r), "open").pairs(), "pairs").size(); });
    stop(relay);
    const pid_t relay6 = start_relay(net, kV6);
    found.v6 = measure(net, kV6, packets, relay6);
    stop(relay6);
    found.coturn = measure_coturn(net, packets, median(found.v4.plain));
    return found;
}

void print_table(const Found& found) {
    const auto row = [](const char* what, const Samples& samples) {
        fmt::print("{:<44} {} us a packet\n", what, summary(samples));
    };
    row("plain routing", found.v4.plain);
    row("relayed by the kernel, above that: 64 pairs", found.v4.extra());
    row("  100,064 pairs", found.many.extra());
    row("  64 pairs over IPv6", found.v6.extra());
    if (found.coturn)
        fmt::print("{:<44} {:.3f} us a packet: {:.3f} of its core, {:.3f} of the sender's\n",
                   "coturn, above plain routing", found.coturn->us, found.coturn->core_us,
                   found.coturn->local_us);
    fmt::print("{} pairs; set up singly: {:.0f} a second; read by a relay that starts: {:.0f} ms\n",
               found.pairs, found.pairs_per_second, found.adopt_ms);
}

std::string json_of(const Found& found) {
    std::string line = fmt::format(
        R"({{"kernel_us_148":{:.3f},"kernel_us_148_pairs_100k":{:.3f},"kernel_us_148_v6":{:.3f},)"
        R"("plain_us_148":{:.3f},"kernel_user_cpu_pct":{:.2f},"pairs":{},"pair_setup_per_s":{:.0f},)"
        R"("pairs_adopt_ms":{:.0f},"kernel_lost":{})",
        median(found.v4.extra()), median(found.many.extra()), median(found.v6.extra()),
        median(found.v4.plain),
        std::max({found.v4.relay_cpu_pct, found.many.relay_cpu_pct, found.v6.relay_cpu_pct}),
        found.pairs, found.pairs_per_second, found.adopt_ms,
        found.v4.lost + found.many.lost + found.v6.lost);
    if (found.coturn)
        line += fmt::format(R"(,"coturn_us_148":{:.3f},"coturn_core_us":{:.3f})", found.coturn->us,
                            found.coturn->core_us);
    return line + "}";
}

void keep_samples(const Found& found, const char* folder) {
    std::ofstream(fmt::format("{}/forwarding-samples.json", folder)) << fmt::format(
        R"({{"plain_us":{},"relayed_us":{},"plain_us_100k":{},"relayed_us_100k":{},"plain_us_v6":{},"relayed_us_v6":{}}})",
        json_array(found.v4.plain), json_array(found.v4.relayed), json_array(found.many.plain),
        json_array(found.many.relayed), json_array(found.v6.plain), json_array(found.v6.relayed));
}

}  // namespace
}  // namespace cvlan::bench

int main(int argc, char** argv) {
    using namespace cvlan::bench;
    const bool wants_json = argc > 2 && std::string_view(argv[2]) == "--json";
    const Found found = measure_all(argc > 1 ? std::atoi(argv[1]) : 2'000);
    print_table(found);
    if (wants_json) fmt::print("{}\n", json_of(found));
    if (const char* folder = std::getenv("CVLAN_LAB_OUT")) keep_samples(found, folder);
    return 0;
}
