// SPDX-License-Identifier: Apache-2.0
// What one changed node costs the controller's maps, in networks of 1,000, 5,000 and 10,000: the
// CPU time from the change to the delta, which is encoded and signed once for all; then what each
// further node of the network costs, which gets the same bytes; and those bytes.
//
//     bench_delta SAMPLES.json [CHANGES]     the last line is one JSON object

#include <ctime>
#include <fstream>

#include "base/bytes.h"
#include "maps/maps.h"
#include "pki/keys.h"
#include "tests/bench/samples.h"

namespace {

using namespace cvlan;
using bench::Samples;

const std::string kTenant = new_uuid(1);
const std::string kNetwork = new_uuid(2);

double cpu_ms() {
    timespec at{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return static_cast<double>(at.tv_sec) * 1e3 + static_cast<double>(at.tv_nsec) / 1e6;
}

model::Node node_of(const std::string& id, int number, uint16_t port, int64_t revision) {
    model::Membership membership;
    membership.network_id = kNetwork;
    membership.node_id = id;
    membership.ipv4 = *Address::parse(fmt::format("10.0.{}.{}", number / 250, number % 250 + 1));
    membership.ipv6 = *Address::parse(fmt::format("fd00::{:x}", number + 1));
    membership.wireguard_key = base64(sha256(as_bytes(id)));
    membership.listen_port = 51820;
    for (int i = 1; i <= 3; ++i)
        membership.endpoints.push_back(
            *Endpoint::parse(fmt::format("198.51.100.{}:{}", i, 1024 + port % 60000)));
    membership.revision = revision;
    model::Node node;
    node.tenant_id = kTenant;
    node.id = id;
    node.name = fmt::format("node-{}", number);
    node.memberships.push_back(membership);
    return node;
}

struct Figures {
    int nodes = 0;
    Samples change_ms{}, share_us{};
    size_t bytes = 0;  // of the largest delta
};

struct Ground {
    SystemClock clock;
    pki::SigningKey key = pki::SigningKey::generate();
    maps::Maps maps{[this](const std::string&, std::string payload) {
                        auto made = pki::sign_bytes(key, std::move(payload));
                        const auto view = as_bytes(made.payload);
                        return Result<model::wire::SignedBytes>(model::wire::SignedBytes{
                            made.kid, Bytes(view.begin(), view.end()), made.signature});
                    },
                    clock};
    std::vector<std::string> ids;
    int64_t revision = 1;

    explicit Ground(int nodes) {
        store::MapInputs inputs;
        inputs.revision = revision;
        model::Network network;
        network.tenant_id = kTenant;
        network.id = kNetwork;
        network.name = "net";
        network.ipv4 = *Prefix::parse("10.0.0.0/16");
        network.ipv6 = *Prefix::parse("fd00::/64");
        network.revision = 1;
        inputs.networks.push_back(network);
        for (int n = 0; n < nodes; ++n) {
            ids.push_back(new_uuid(1000 + n));
            const model::Node node = node_of(ids.back(), n, 0, 1);
            inputs.members.push_back({node.name, model::TokenRole::Node, node.memberships[0]});
        }
        maps.load(kTenant, 1, inputs);
    }
    // What this node is told, who had all until the last change; null: nothing, or a failure.
    std::optional<http::Response> answer(size_t node, int64_t since) {
        auto told = maps.answer(kTenant, ids[node], maps::Since{1, since});
        return told ? *told : std::nullopt;
    }
};

Figures measure(int nodes, int changes) {
    Ground ground(nodes);
    Figures figures{nodes};
    // Heads are signed once a day: not what is measured.
    for (size_t i = 0; i < ground.ids.size(); ++i)
        if (!ground.answer(i, ground.revision)) std::abort();
    for (int change = 0; change < changes; ++change) {
        const size_t who = static_cast<size_t>(change) * 37 % ground.ids.size();
        const int64_t before = ground.revision++;
        const auto node = node_of(ground.ids[who], static_cast<int>(who),
                                  static_cast<uint16_t>(change), ground.revision);
        const double start = cpu_ms();
        if (!ground.maps.put_node(node, ground.revision)) std::abort();
        const auto first = ground.answer(0, before);
        const double made = cpu_ms();
        constexpr size_t kOthers = 500;
        for (size_t other = 1; other <= kOthers; ++other)
            if (!ground.answer(other, before)) std::abort();
        const double shared = cpu_ms();
        if (!first || first->chunks.size() != 1) std::abort();
        figures.change_ms.push_back(made - start);
        figures.share_us.push_back((shared - made) * 1000 / kOthers);
        figures.bytes = std::max(figures.bytes, first->chunks[0]->size());
    }
    return figures;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    const int changes = argc > 2 ? std::max(1, std::atoi(argv[2])) : 1000;
    std::ofstream raw(argv[1]);
    std::string json = "{", between;
    for (const int nodes : {1000, 5000, 10000}) {
        const Figures figures = measure(nodes, changes);
        fmt::print("{:6} nodes: {} ms CPU a change, {} us a further node, {} bytes\n", nodes,
                   bench::summary(figures.change_ms), bench::summary(figures.share_us),
                   figures.bytes);
        json += fmt::format(
            R"({}"{}k":{{"n":{},"median_ms":{:.4f},"p10_ms":{:.4f},"p90_ms":{:.4f},)"
            R"("p99_ms":{:.4f},"share_us":{:.3f},"bytes":{}}})",
            between, nodes / 1000, figures.change_ms.size(), bench::median(figures.change_ms),
            bench::quantile(figures.change_ms, 0.1), bench::quantile(figures.change_ms, 0.9),
            bench::quantile(figures.change_ms, 0.99), bench::median(figures.share_us),
            figures.bytes);
        raw << (between.empty() ? "{" : ",\n")
            << fmt::format(R"("{}k":{})", nodes / 1000, bench::json_array(figures.change_ms));
        between = ",";
    }
    raw << "}\n";
    fmt::print("{}}}\n", json);
    return raw.flush() ? 0 : 1;
}
