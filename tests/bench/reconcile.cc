// SPDX-License-Identifier: Apache-2.0
// scripts/bench reconcile: what it costs to keep 1,000 peers as they should be, against the least
// that netlink costs. Runs as root in a network namespace of its own, in the lab.

#include <sched.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>

#include "kernel-wg/client.h"
#include "netlink/link.h"
#include "reconcile/kernel_host.h"
#include "reconcile/reconciler.h"
#include "tests/bench/plain_wireguard.h"
#include "tests/bench/samples.h"

namespace cvlan::bench {
namespace {

using namespace reconcile;

constexpr uint32_t kPeers = 1000;
constexpr int kInitialPairs = 15;
constexpr int kIdlePairs = 101;
constexpr int kProcessRuns = 11;
const std::string kNetwork = "0190c1a0-0000-7000-8000-000000000001";
const std::string kPlain = "plain0";  // the device of the plain loop

[[noreturn]] void give_up(const std::string& why) {
    fmt::print(stderr, "bench reconcile: {}\n", why);
    std::exit(1);
}
template <class T>
T must(Result<T> result) {
    if (!result) give_up(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}
void must(bool is_done, const std::string& what) {
    if (!is_done) give_up(what + " failed");
}

model::NetworkMap make_map() {
    model::MapNetwork network;
    network.id = kNetwork;
    network.ipv4 = *Prefix::parse("10.100.0.0/16");
    network.ipv6 = *Prefix::parse("fd00:100::/64");
    const Address v4 = *Address::parse("10.100.0.1");
    const Address v6 = *Address::parse("fd00:100::1");
    network.self.addresses = {v4, v6};
    const Address underlay = *Address::parse("198.18.0.1");
    for (uint32_t n = 1; n <= kPeers; ++n) {
        model::MapPeer peer;
        peer.node_id = fmt::format("node-{}", n);
        peer.addresses = {v4.plus(n), v6.plus(n)};
        peer.wireguard_key = base64(random_bytes(32));
        peer.endpoints = {Endpoint{underlay.plus(n), 51820}};
        network.peers[peer.node_id] = std::move(peer);
    }
    model::NetworkMap map;
    map.networks[kNetwork] = std::move(network);
    return map;
}

class Bench {
public:
    Bench()
        : netns_(must(netlink::NetnsFd::current())),
          host_(must(KernelHost::open(netns_))),
          route_(must(netlink::Socket::open(NETLINK_ROUTE, netns_))),
          wireguard_(must(wg::Client::open(netns_))),
          map_(make_map()) {
        self_.networks[kNetwork] = {.index = 0,
                                    .key = must(DeviceKey::of(wg::generate_private_key())),
                                    .listen_port = 51820};
        want_ = desired_state(map_, self_);
        must(plain_.is_open(), "the plain socket");
        host_.set_tally(&tally_);
    }

    void measure() {
        initial();
        stand();
        idle();
        one_of();
        others();
    }
    void report(bool as_json) const;
    bool save(const std::string& path) const;

private:
    const std::vector<WgPeer>& peers() const { return want_.wireguard[0].peers; }
    const std::string& device() const { return want_.links[0].device; }

    Round round(const Desired& want, Scope scope = Scope::Everything) {
        Round round = must(run_round(host_, want, scope));
        if (!round.failures.empty()) give_up(round.problems()[0]);
        return round;
    }
    void count_peers(const std::string& name) {
        const size_t found = must(wireguard_.device(name)).peers.size();
        if (found != kPeers)
            give_up(fmt::format("reached {} of {} peers on {}", found, kPeers, name));
    }

    // (a) Device, addresses, peers, routes and rules out of nothing, against the peers alone.
    void initial() {
        initial_.run(
            kInitialPairs,
            {[] {}, [&] { round(want_); }, [&] { count_peers(device()), round(Desired()); }},
            {[&] { make_plain(); }, [&] { must(plain_.set_peers(kPlain, peers()), "plain SET"); },
             [&] { count_peers(kPlain), drop_plain(); }});
    }
    void make_plain() {
        must(netlink::add_link(route_,
                               {.name = kPlain, .kind = "wireguard", .alias = {}, .mtu = {}}));
        wg::DeviceChange change;
        change.private_key = self_.networks[kNetwork].key.private_key().clone();
        must(wireguard_.change_device(kPlain, change));
        plain_index_ = must(netlink::find_link(route_, kPlain)).index;
        must(netlink::change_link(route_, plain_index_, {.up = true}));
    }
    void drop_plain() { must(netlink::remove_link(route_, plain_index_)); }

    // Peers in the order in which nodes come, which is no order of ours.
    void stand() {
        Desired empty = want_;
        empty.wireguard[0].peers.clear();
        round(empty);
        std::vector<WgPeer> shuffled = peers();
        std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(7));
        must(plain_.set_peers(device(), shuffled), "plain SET");
        count_peers(device());
    }

    // (b) Nothing has changed.
    void idle() {
        const Pairs::Half drain{{}, [&] { must(plain_.drain(device()), "plain GET"); }, {}};
        const auto unchanged = [&](Scope scope) {
            if (!round(want_, scope).converged()) give_up("a round without change had a plan");
        };
        unchanged(Scope::Everything);
        tally_ = {};
        idle_all_.run(kIdlePairs, {{}, [&] { unchanged(Scope::Everything); }, {}}, drain);
        idle_.run(kIdlePairs, {{}, [&] { unchanged(Scope::WireGuard); }, {}}, drain);
        idle_writes_ = tally_.writes;
        idle_reads_ = tally_.reads;
    }

    // (c) One peer is to be changed: its keepalive to and fro, on both sides.
    void one_of() {
        one_of_in(Scope::WireGuard, one_of_);
        one_of_in(Scope::Everything, one_of_all_);
    }
    void one_of_in(Scope scope, Pairs& pairs) {
        WgPeer& peer = want_.wireguard[0].peers[kPeers / 2];
        const auto change = [&] { peer.keepalive_seconds = peer.keepalive_seconds == 0 ? 25 : 0; };
        pairs.run(kIdlePairs,
                  {change,
                   [&] {
                       if (round(want_, scope).plan.steps.size() != 1) give_up("not one step");
                   },
                   {}},
                  {change,
                   [&] {
                       must(plain_.drain(device()), "plain GET");
                       must(plain_.set_peers(device(), {peer}), "plain SET");
                   },
                   {}});
        round(want_);
    }

    // For the reader: the same done by whole processes, and the pure part alone.
    void others() {
        const std::string conf = "/tmp/bench-reconcile.conf";
        std::ofstream(conf) << setconf();
        for (int i = 0; i < kProcessRuns; ++i) {
            make_plain();
            wg_setconf_.push_back(milliseconds([&] { run("wg setconf plain0 " + conf); }));
            count_peers(kPlain);
            drop_plain();
            wg_show_.push_back(
                milliseconds([&] { run("wg show " + device() + " dump > /dev/null"); }));
            pure_.push_back(milliseconds([&] { desired_state(map_, self_); }));
        }
        std::remove(conf.c_str());
    }
    std::string setconf() const {
        std::string text = "[Interface]\n";
        for (const WgPeer& peer : peers())
            text += fmt::format("[Peer]\nPublicKey={}\nAllowedIPs={},{}\nEndpoint={}\n",
                                peer.key.text(), peer.allowed_ips[0].text(),
                                peer.allowed_ips[1].text(), peer.endpoint->text());
        return text;
    }
    static void run(const std::string& command) {
        if (std::system(command.c_str()) != 0) give_up(command + " failed");
    }

    netlink::NetnsFd netns_;
    KernelHost host_;
    netlink::Socket route_;
    wg::Client wireguard_;
    PlainWireguard plain_;
    model::NetworkMap map_;
    NodeConfig self_;
    Desired want_;
    netlink::Tally tally_;
    int plain_index_ = 0;
    uint64_t idle_writes_ = 0, idle_reads_ = 0;
    Pairs initial_{"from nothing to 1,000 peers / SET loop", 1.2};
    Pairs idle_{"round without change, each 4 s / GET drained", 2.0};
    Pairs idle_all_{"the same, of everything, each 60 s / GET drained", 2.0};
    Pairs one_of_{"one of 1,000 changed / GET drained + SET", 2.0};
    Pairs one_of_all_{"the same, in a round of everything", 2.0};
    Samples wg_setconf_, wg_show_, pure_;
};

void Bench::report(bool as_json) const {
    fmt::print("reconcile at {} peers, ms: median (10th-90th percentile)\n", kPeers);
    fmt::print("{:<52} {:>4} {:<26} {:<26} {:<22} limit\n", "", "n", "ours", "plain",
               "ratio of pairs");
    for (const Pairs* each : {&initial_, &idle_, &idle_all_, &one_of_, &one_of_all_}) {
        const bool is_within = each->ratio() <= each->limit;
        fmt::print("{:<52} {:>4} {:<26} {:<26} {:<22} {:.1f} {}\n", each->name, each->ours.size(),
                   summary(each->ours), summary(each->plain), summary(each->ratios()), each->limit,
                   is_within ? "reached" : "MISSED");
    }
    fmt::print("requests in {} rounds without change: {} GET or dump, {} others\n", 2 * kIdlePairs,
               idle_reads_, idle_writes_);
    fmt::print(
        "beside: wg setconf, the whole process {}; wg show dump {}; desired_state alone {}"
        " (n {})\n",
        summary(wg_setconf_), summary(wg_show_), summary(pure_), kProcessRuns);
    if (!as_json) return;
    fmt::print(
        "{{\"initial_1000_ratio\":{:.3f},\"idle_1000_ratio\":{:.3f},\"one_of_1000_ratio\":{:.3f},"
        "\"idle_writes\":{},\"idle_1000_everything_ratio\":{:.3f},"
        "\"one_of_1000_everything_ratio\":{:.3f}}}\n",
        initial_.ratio(), idle_.ratio(), one_of_.ratio(), idle_writes_, idle_all_.ratio(),
        one_of_all_.ratio());
}

bool Bench::save(const std::string& path) const {
    std::ofstream file(path);
    file << "{\n";
    for (const Pairs* each : {&initial_, &idle_, &idle_all_, &one_of_, &one_of_all_})
        file << fmt::format("\"{}\":{{\"ours_ms\":{},\"plain_ms\":{}}},\n", each->name,
                            json_array(each->ours), json_array(each->plain));
    file << fmt::format("\"wg setconf\":{},\n\"wg show dump\":{},\n\"desired_state\":{}\n}}\n",
                        json_array(wg_setconf_), json_array(wg_show_), json_array(pure_));
    file.close();
    return !file.fail();
}

int run(bool as_json) {
    if (unshare(CLONE_NEWNET) != 0) give_up("needs root, and a network namespace of its own");
    Bench bench;
    bench.measure();
    const char* out = std::getenv("CVLAN_LAB_OUT");
    const std::string path = fmt::format("{}/bench-reconcile.json", out != nullptr ? out : ".");
    if (!bench.save(path)) give_up("can not write " + path);
    fmt::print("samples: {}\n", path);
    bench.report(as_json);
    return 0;
}

}  // namespace
}  // namespace cvlan::bench

int main(int argc, char** argv) {
    const bool as_json = argc == 2 && std::strcmp(argv[1], "--json") == 0;
    if (argc > 2 || (argc == 2 && !as_json)) {
        fmt::print(stderr, "usage: bench_reconcile [--json]\n");
        return 2;
    }
    return cvlan::bench::run(as_json);
}
