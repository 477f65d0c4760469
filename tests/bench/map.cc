// SPDX-License-Identifier: Apache-2.0
// How long from an enrolment to the peer in another node's kernel, and how many bytes a peer costs
// in a map. Enrols nodes one after the other with a real token over a fresh TLS connection each,
// and watches the WireGuard device of an agent that runs beside. Set up by integration/bench-map.
//
//   bench_map TOKEN_FILE NETNS DEVICE COUNT SAMPLES_FILE

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "base/event_loop.h"
#include "base/file.h"
#include "http/client.h"
#include "kernel-wg/client.h"
#include "model/wire.h"
#include "pki/csr.h"
#include "pki/token.h"
#include "tests/bench/must.h"

namespace {

using namespace cvlan;
using namespace std::chrono_literals;
using bench::must;
using SteadyClock = std::chrono::steady_clock;
namespace wire = model::wire;

constexpr auto kLongestWait = 10s;

struct Bench {
    EventLoop loop;
    std::string token;
    model::TokenClaims claims;
    std::string host;
    uint16_t port = 0;
    wg::Client kernel;
    std::string device;

    http::ClientOptions options() const {
        http::ClientOptions made;
        made.host = host;
        made.port = port;
        made.trust.ca_spki_sha256 = claims.ca_spki;
        return made;
    }
    http::Response ask(http::Client& client, http::ClientRequest request) {
        return bench::ask(loop, client, std::move(request));
    }
    bool kernel_has(const wg::PublicKey& key) {
        const auto now = must(kernel.device(device), "device");
        return std::any_of(now.peers.begin(), now.peers.end(),
                           [&](const wg::Peer& peer) { return peer.public_key == key; });
    }
};

struct Enrolled {
    double ms = 0;
    std::string certificate;
    SecretText key;
};

Enrolled enrol_one(Bench& bench, int number) {
    const auto tls_key = must(pki::TlsKey::generate(), "key");
    const auto wireguard_key = must(wg::public_key_of(wg::generate_private_key()), "key");
    wire::EnrolRequest body;
    body.token = bench.token;
    body.wireguard_public_key = wireguard_key.text();
    const auto binding =
        pki::enrolment_binding(must(pki::parse_token(bench.token), "token").claims,
                               must(from_base64(*body.wireguard_public_key), "WireGuard key"));
    body.csr = must(pki::create_csr(tls_key, binding), "csr");
    body.name = fmt::format("bench-{}", number);
    body.listen_port = 51820;
    body.protocol_version = 1;
    http::ClientRequest request{
        "POST", "/api/v1/enrol", {{"Content-Type", "application/json"}}, encode(body)};

    const auto start = SteadyClock::now();
    const auto client = must(http::Client::open(bench.loop, bench.options()), "client");
    const auto answer = bench.ask(*client, std::move(request));
    if (answer.status != 201) must(Result<int>(fail(Code::Internal, "{}", answer.body)), "enrol");
    while (!bench.kernel_has(wireguard_key))
        if (SteadyClock::now() - start > kLongestWait)
            must(Result<int>(fail(Code::Unavailable, "not within {} s", kLongestWait.count())),
                 "the peer in the kernel");
    const std::chrono::duration<double, std::milli> took = SteadyClock::now() - start;
    const auto enrolment =
        must(model::decode<wire::Enrolment>(answer.body, model::kDocument), "answer");
    return {took.count(), enrolment.certificate, must(tls_key.to_pem(), "pem")};
}

wire::NodeMap get_map(Bench& bench, const Enrolled& node, const std::string& since, size_t& bytes) {
    auto options = bench.options();
    options.certificate_pem = node.certificate;
    options.private_key_pem = node.key.clone();
    const auto client = must(http::Client::open(bench.loop, std::move(options)), "client");
    const auto answer = bench.ask(*client, {"GET", "/api/v1/node/map" + since});
    bytes = answer.body.size();
    for (const auto& chunk : answer.chunks) bytes += chunk->size();
    return must(model::decode<wire::NodeMap>(answer.body, model::kDocument), "map");
}

double percentile(std::vector<double> samples, double part) {
    std::sort(samples.begin(), samples.end());
    return samples[std::min(samples.size() - 1,
                            static_cast<size_t>(part * static_cast<double>(samples.size())))];
}

int report(const std::vector<double>& samples, double full_bytes, double delta_bytes) {
    const double p50 = percentile(samples, 0.50), p99 = percentile(samples, 0.99);
    fmt::print(
        "enrolment to the peer in the other node's kernel, n = {}: p50 {:.1f} ms, p99 {:.1f} ms, "
        "least {:.1f}, most {:.1f}\n",
        samples.size(), p50, p99, percentile(samples, 0), percentile(samples, 1));
    fmt::print("map bytes a peer: full {:.0f}, delta {:.0f}\n", full_bytes, delta_bytes);
    fmt::print(
        R"({{"enrol_to_kernel_p50_ms":{:.1f},"enrol_to_kernel_p99_ms":{:.1f},"full_map_bytes_per_peer":{:.0f},"delta_bytes_per_peer":{:.0f}}})"
        "\n",
        p50, p99, full_bytes, delta_bytes);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) {
        fmt::print(stderr, "usage: bench_map TOKEN_FILE NETNS DEVICE COUNT SAMPLES_FILE\n");
        return 2;
    }
    std::string token = must(read_file(argv[1], 4096), "token");
    while (token.ends_with('\n')) token.pop_back();
    const auto claims = must(pki::parse_token(token), "token").claims;
    const auto at =
        must(Endpoint::parse(claims.url.substr(claims.url.find("//") + 2)), "url of the token");
    const auto netns = must(netlink::NetnsFd::open(argv[2]), "netns");
    Bench bench{{},      token,
                claims,  at.address.text(),
                at.port, must(wg::Client::open(netns), "wireguard"),
                argv[3]};

    std::vector<double> samples;
    Enrolled last;
    const int count = std::atoi(argv[4]);
    for (int number = 0; number < count; ++number) {
        last = enrol_one(bench, number);
        samples.push_back(last.ms);
    }
    size_t full_bytes = 0, delta_bytes = 0;
    const auto full = get_map(bench, last, "", full_bytes);
    enrol_one(bench, count);
    const auto delta =
        get_map(bench, last, fmt::format("?since={}.{}", full.epoch, full.revision), delta_bytes);
    std::ofstream(argv[5]) << fmt::format("[{}]\n", fmt::join(samples, ","));
    if (delta.fragments.size() != 1 || static_cast<int>(samples.size()) != count) {
        fmt::print("reached {} of {} enrolments, a delta of {} fragments\n", samples.size(), count,
                   delta.fragments.size());
        return 1;
    }
    return report(samples,
                  static_cast<double>(full_bytes) / static_cast<double>(full.fragments.size()),
                  static_cast<double>(delta_bytes));
}
