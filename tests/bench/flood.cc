// SPDX-License-Identifier: Apache-2.0
// Whether floods at the other roles delay a node: how long its polls take on a held connection in
// quiet, and while another process floods (F01, F02, F16, F17, enrolments). Each flood is measured
// against the quiet right before it, in several pairs; what counts is the median of their ratios.
// Set up by integration/bench-flood.
//
//   bench_flood TOKENS SESSION SECONDS PAIRS SAMPLES_FILE
//
// TOKENS: a file with the polling node's token, and one of another tenant for those who flood.

#include <openssl/ssl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <thread>

#include "base/event_loop.h"
#include "base/loop_thread.h"
#include "base/unique_fd.h"
#include "http/client.h"
#include "model/wire.h"
#include "pki/csr.h"
#include "pki/token.h"
#include "tests/bench/must.h"
#include "tests/bench/samples.h"

namespace {

using namespace cvlan;
using namespace std::chrono_literals;
using bench::ask, bench::must;
using SteadyClock = std::chrono::steady_clock;
namespace wire = model::wire;

constexpr auto kPollEvery = 5ms;
constexpr double kLimit = 2.0;

struct Token {
    std::string text;
    model::TokenClaims claims;
};

struct Target {
    Token own;
    Token of_others;
    Endpoint registration;
    Endpoint session;
};

http::ClientOptions options(const Target& target, const Endpoint& at) {
    http::ClientOptions made;
    made.host = at.address.text();
    made.port = at.port;
    made.trust.ca_spki_sha256 = target.own.claims.ca_spki;
    return made;
}

struct Node {
    std::string certificate;
    SecretText key;
};

Node enrol(const Target& target, const Token& token) {
    EventLoop loop;
    const auto key = must(pki::TlsKey::generate(), "key");
    const Bytes wireguard_key = random_bytes(32);
    wire::EnrolRequest body;
    body.token = token.text;
    body.wireguard_public_key = base64(wireguard_key);
    body.csr =
        must(pki::create_csr(key, pki::enrolment_binding(token.claims, wireguard_key)), "csr");
    body.protocol_version = 1;
    const auto client = must(http::Client::open(loop, options(target, target.registration)), "tls");
    const auto answer = ask(loop, *client, {"POST", "/api/v1/enrol", {}, encode(body)});
    if (answer.status != 201) must(Result<int>(fail(Code::Internal, "{}", answer.body)), "enrol");
    return {
        must(model::decode<wire::Enrolment>(answer.body, model::kDocument), "answer").certificate,
        must(key.to_pem(), "pem")};
}

// Polls of a node that knows all there is, in milliseconds.
class Poller {
public:
    Poller(const Target& target, const Node& node) {
        auto wanted = options(target, target.session);
        wanted.certificate_pem = node.certificate;
        wanted.private_key_pem = node.key.clone();
        client_ = must(http::Client::open(loop_, std::move(wanted)), "session");
    }
    bench::Samples run(std::chrono::seconds time) {
        ask_for_short_slices();  // a node has a machine of its own
        bench::Samples samples;
        const auto end = SteadyClock::now() + time;
        while (SteadyClock::now() < end) {
            const auto start = SteadyClock::now();
            const auto answer = ask(loop_, *client_, {"GET", "/api/v1/node/map" + since_});
            samples.push_back(
                std::chrono::duration<double, std::milli>(SteadyClock::now() - start).count());
            if (answer.status == 200) remember(answer);
            std::this_thread::sleep_until(start + kPollEvery);
        }
        return samples;
    }

private:
    void remember(const http::Response& answer) {
        std::string body = answer.body;
        for (const auto& chunk : answer.chunks) body += *chunk;
        const auto map = must(model::decode<wire::NodeMap>(body, model::kDocument), "map");
        since_ = fmt::format("?since={}.{}", map.epoch, map.revision);
    }
    EventLoop loop_;
    std::unique_ptr<http::Client> client_;
    std::string since_;
};

UniqueFd connected(const Endpoint& at) {
    UniqueFd fd(socket(at.address.af(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage{};
    const socklen_t size = at.to_sockaddr(storage);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0) fd.reset();
    return fd;
}

struct TlsConnection {
    UniqueFd fd;
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl{nullptr, SSL_free};
};

TlsConnection handshaken(SSL_CTX* context, const Endpoint& at) {
    TlsConnection made;
    made.fd = connected(at);
    made.ssl.reset(SSL_new(context));
    SSL_set_fd(made.ssl.get(), made.fd.get());
    if (!made.fd || SSL_connect(made.ssl.get()) != 1) made.ssl.reset();
    return made;
}

using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
Context any_server() { return {SSL_CTX_new(TLS_client_method()), SSL_CTX_free}; }

// F01, F02: `begun` of a request on each of many connections, and a byte more each now and then.
void slow_clients(const Target& target, std::string_view begun) {
    const auto context = any_server();
    std::vector<TlsConnection> open(1000);
    for (;;)
        for (auto& connection : open) {
            if (!connection.ssl) {
                connection = handshaken(context.get(), target.registration);
                if (connection.ssl)
                    SSL_write(connection.ssl.get(), begun.data(), static_cast<int>(begun.size()));
            } else if (SSL_write(connection.ssl.get(), "x", 1) != 1) {
                connection.ssl.reset();  // closed on it: it comes again
            }
            std::this_thread::sleep_for(1ms);
        }
}

void handshakes(const Endpoint& at) {
    const auto context = any_server();
    for (;;) handshaken(context.get(), at);
}

// F17: as many as there are descriptors, that say nothing.
void silent_connections(const Target& target) {
    std::vector<UniqueFd> open(5000);
    for (size_t i = 0;; i = (i + 1) % open.size()) open[i] = connected(target.registration);
}

struct Flood {
    const char* name;
    const char* key;
    std::function<void(const Target&)> run;
};

const Flood kFloods[] = {
    {"F01 1,000 slow heads", "f01",
     [](const Target& target) { slow_clients(target, "GET / HTTP/1.1\r\nHost: "); }},
    {"F02 1,000 slow bodies", "f02",
     [](const Target& target) {
         slow_clients(target,
                      "POST /api/v1/enrol HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: "
                      "1000000\r\n\r\n");
     }},
    {"F16 handshakes, one after the other", "f16",
     [](const Target& target) { handshakes(target.registration); }},
    {"F16 the same at the session role itself", "f16_session",
     [](const Target& target) { handshakes(target.session); }},
    {"F17 silent connections", "f17", [](const Target& target) { silent_connections(target); }},
    {"enrolments of another tenant", "enrol",
     [](const Target& target) {
         for (;;) enrol(target, target.of_others);
     }},
};

// In a process of its own, which has what the two that are measured leave of the processors: a real
// flood does not come from the machine that it floods.
pid_t start(const Flood& flood, const Target& target) {
    const pid_t child = fork();
    if (child != 0) return child;
    const sched_param none{};
    if (sched_setscheduler(0, SCHED_IDLE, &none) != 0) _exit(1);
    flood.run(target);
    _exit(1);
}

// While it flooded all the time; nothing where it ended by itself.
std::optional<bench::Samples> flooded(const Flood& flood, const Target& target, Poller& poller,
                                      std::chrono::seconds time) {
    const pid_t child = start(flood, target);
    poller.run(2s);  // for it to be under way
    auto samples = poller.run(time);
    if (waitpid(child, nullptr, WNOHANG) != 0) return std::nullopt;
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    return samples;
}

struct Wanted {
    std::chrono::seconds time;  // of each half of a pair
    int pairs;
};

// The median of the ratios; 0 where the flood did not last.
double measure(const Flood& flood, const Target& target, Poller& poller, const Wanted& wanted,
               std::ofstream& raw) {
    bench::Samples before, during, ratios;
    size_t polls = 0;
    for (int i = 0; i < wanted.pairs; ++i) {
        const auto quiet = poller.run(wanted.time);
        const auto loud = flooded(flood, target, poller, wanted.time);
        if (!loud) {
            fmt::print("{}: the flood ended (missed)\n", flood.name);
            return 0;
        }
        before.push_back(bench::quantile(quiet, 0.99));
        during.push_back(bench::quantile(*loud, 0.99));
        ratios.push_back(during.back() / before.back());
        polls += loud->size();
        raw << fmt::format("{{\"{0}_quiet\":{1},\"{0}\":{2}}}\n", flood.key,
                           bench::json_array(quiet), bench::json_array(*loud));
        std::this_thread::sleep_for(2s);  // what it left behind is closed
    }
    const double ratio = bench::median(ratios);
    fmt::print(
        "{:<42} {} pairs, {} polls: p99 {:.2f} and {:.2f} ms, {:.2f} times ({:.2f}-{:.2f}){}\n",
        flood.name, wanted.pairs, polls, bench::median(before), bench::median(during), ratio,
        bench::quantile(ratios, 0), bench::quantile(ratios, 1), ratio < kLimit ? "" : " (missed)");
    std::fflush(stdout);
    return ratio;
}

Token read_token(std::istream& lines) {
    Token token;
    std::getline(lines, token.text);
    token.claims = must(pki::parse_token(token.text), "token").claims;
    return token;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6 && argc != 7) {
        fmt::print(stderr,
                   "usage: bench_flood TOKENS SESSION SECONDS PAIRS SAMPLES_FILE [FLOOD]\n");
        return 2;
    }
    Target target;
    std::ifstream tokens(argv[1]);
    target.own = read_token(tokens);
    target.of_others = read_token(tokens);
    const std::string& url = target.own.claims.url;
    target.registration = must(Endpoint::parse(url.substr(url.find("//") + 2)), "url of the token");
    target.session = must(Endpoint::parse(argv[2]), "session");
    std::signal(SIGPIPE, SIG_IGN);

    const Node node = enrol(target, target.own);
    Poller poller(target, node);
    const Wanted wanted{std::chrono::seconds(std::stoi(argv[3])), std::stoi(argv[4])};
    std::ofstream raw(argv[5]);
    std::string json;
    bool is_reached = true;
    for (const Flood& flood : kFloods) {
        if (argc > 6 && flood.key != std::string_view(argv[6])) continue;
        const double ratio = measure(flood, target, poller, wanted, raw);
        is_reached = is_reached && ratio > 0 && ratio < kLimit;
        json += fmt::format("{}\"flood_{}_p99_ratio\":{:.2f}", json.empty() ? "" : ",", flood.key,
                            ratio);
    }
    fmt::print("{{{}}}\n", json);
    return is_reached ? 0 : 1;
}
