// SPDX-License-Identifier: Apache-2.0
// What a packet costs the relay's TLS side, and an idle client: CPU time of the relay's process
// from getrusage(2), the load on another core. Ours and the plain forwarder (relay_plain.h) in
// turn, the order changing from pair to pair. 64 connections in pairs; each side sends a burst in
// one write and the next when the other's has come, so that a burst of one packet is one record in
// and one out.
//
//   bench_relay SECONDS ROUNDS IDLE_CLIENTS [--json]

#include <malloc.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "base/event_loop.h"
#include "relay/server.h"
#include "tests/bench/must.h"
#include "tests/bench/relay_plain.h"
#include "tests/bench/samples.h"
#include "tests/relay/test_tenant.h"

namespace {

using namespace cvlan;
using namespace cvlan::relay;
using namespace std::chrono_literals;
using bench::must;
using relay::test::TestTenant;
using SteadyClock = std::chrono::steady_clock;

constexpr int kRelayCore = 1;
constexpr int kLoadCore = 0;
constexpr size_t kConnections = 64;

struct Mark {
    int64_t cpu_us = 0;
    uint64_t packets = 0;
    int64_t rss_kib = 0;
};

void pin_to(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(core), &set);
    sched_setaffinity(0, sizeof set, &set);
}

Mark mark_now(uint64_t packets) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    Mark mark;
    mark.cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 +
                  usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    mark.packets = packets;
    std::ifstream status("/proc/self/statm");
    int64_t all = 0, resident = 0;
    status >> all >> resident;
    mark.rss_kib = resident * sysconf(_SC_PAGESIZE) / 1024;
    return mark;
}

enum class Kind { Ours, Plain };

// A relay in a process of its own, which says on request what it has cost so far.
class Relay {
public:
    Relay(Kind kind, const TestTenant& tenant) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) std::abort();
        malloc_trim(0);  // what is free in us already would be free memory of the child
        child_ = fork();
        if (child_ == 0) {
            close(ends[0]);
            pin_to(kRelayCore);
            kind == Kind::Ours ? serve_ours(ends[1], tenant) : serve_plain(ends[1], tenant);
            _exit(0);
        }
        close(ends[1]);
        control_.reset(ends[0]);
        uint16_t port = 0;
        if (read(control_.get(), &port, sizeof port) != sizeof port) std::exit(1);
        at_ = {*Address::parse("127.0.0.1"), port};
    }
    ~Relay() {
        control_.reset();
        waitpid(child_, nullptr, 0);
    }
    const Endpoint& at() const { return at_; }
    Mark mark() const {
        Mark mark;
        if (write(control_.get(), "m", 1) != 1 ||
            read(control_.get(), &mark, sizeof mark) != sizeof mark)
            std::exit(1);
        return mark;
    }

private:
    static bool answer(int control, uint64_t packets) {
        char asked = 0;
        if (read(control, &asked, 1) != 1) return false;
        const Mark mark = mark_now(packets);
        return write(control, &mark, sizeof mark) == sizeof mark;
    }
    static void serve_ours(int control, const TestTenant& tenant) {
        EventLoop loop;
        const SystemClock clock;
        ServerOptions options;
        options.at = *Endpoint::parse("127.0.0.1:0");
        options.tls.emplace(tenant.server_name, tenant.tls());
        options.tenants.push_back(tenant.trust());
        options.limits.tenant = {20'000, 0, 0};
        options.http.young_handshakes = 20'000;
        auto server = must(Server::listen(loop, clock, std::move(options)), "listen");
        const uint16_t port = server->endpoint().port;
        if (write(control, &port, sizeof port) != sizeof port) return;
        const Watch asked = loop.on_readable(control, [&] {
            if (!answer(control, server->stats().packets)) loop.stop();
        });
        loop.run();
    }
    static void serve_plain(int control, const TestTenant& tenant) {
        const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        bind(listener, reinterpret_cast<sockaddr*>(&at), size);
        listen(listener, 1024);
        getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size);
        const uint16_t port = ntohs(at.sin_port);
        bench::PlainForwarder forwarder(tenant.tls(), listener);
        if (write(control, &port, sizeof port) != sizeof port) return;
        forwarder.run(control, [&] { return answer(control, forwarder.packets()); });
    }

    UniqueFd control_;
    pid_t child_ = -1;
    Endpoint at_;
};

Key key_of(size_t number) {
    Key key;
    key.writable()[0] = 1;
    key.writable()[1] = static_cast<uint8_t>(number);
    key.writable()[2] = static_cast<uint8_t>(number >> 8);
    return key;
}

// One client: a TLS connection that has greeted.
struct Client {
    UniqueFd fd;
    http::SslPtr ssl;
    Bytes burst;
    size_t received = 0;
};

class Clients {
public:
    Clients(Kind kind, const Relay& relay, const TestTenant& tenant)
        : kind_(kind), relay_(relay), tenant_(tenant), context_(SSL_CTX_new(TLS_client_method())) {
        const auto own = tenant.node(1);
        const std::unique_ptr<BIO, decltype(&BIO_free)> cert(
            BIO_new_mem_buf(own.cert_pem.data(), -1), BIO_free);
        const std::unique_ptr<BIO, decltype(&BIO_free)> key(BIO_new_mem_buf(own.key_pem.data(), -1),
                                                            BIO_free);
        SSL_CTX_use_certificate(context_.get(),
                                PEM_read_bio_X509(cert.get(), nullptr, nullptr, nullptr));
        SSL_CTX_use_PrivateKey(context_.get(),
                               PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
        SSL_CTX_set_mode(context_.get(), SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_read_ahead(context_.get(), 1);
    }

    void add(size_t count) {
        for (size_t i = 0; i < count; ++i) clients_.push_back(connect(clients_.size()));
    }

    // For so long; packets go to and fro between neighbours.
    void talk(size_t payload, size_t burst, std::chrono::milliseconds span) {
        const UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
        const size_t frame = kFrameHead + wg::kKeySize + payload;
        for (size_t i = 0; i < clients_.size(); ++i) {
            Client& client = *clients_[i];
            client.burst.clear();
            client.received = 0;
            const Bytes packet(payload, 0x55);
            for (size_t n = 0; n < burst; ++n)
                put_packet(client.burst, FrameType::Send, {key_of(i ^ 1).bytes(), packet});
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.ptr = &client;
            epoll_ctl(epoll.get(), EPOLL_CTL_ADD, client.fd.get(), &event);
        }
        for (const auto& client : clients_) send(*client, client->burst);
        const auto end = SteadyClock::now() + span;
        size_t waiting = clients_.size();  // bursts that are on their way
        while (waiting > 0) {
            epoll_event ready[64];
            const int count = epoll_wait(epoll.get(), ready, 64, 1000);
            if (count == 0) return (void)fmt::print(stderr, "bench_relay: packets were lost\n");
            const bool is_over = SteadyClock::now() >= end;
            for (int i = 0; i < count; ++i) {
                Client& client = *static_cast<Client*>(ready[i].data.ptr);
                for (size_t came = receive(client, frame * burst); came > 0; --came)
                    is_over ? (void)--waiting : send(client, client.burst);
            }
        }
    }

private:
    std::unique_ptr<Client> connect(size_t number) {
        auto client = std::make_unique<Client>();
        client->fd.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_storage storage{};
        const socklen_t size = relay_.at().to_sockaddr(storage);
        if (::connect(client->fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0)
            give_up("connect");
        http::tune_tcp(client->fd.get());
        client->ssl.reset(SSL_new(context_.get()));
        SSL_set_fd(client->ssl.get(), client->fd.get());
        SSL_set_tlsext_host_name(client->ssl.get(), tenant_.server_name.c_str());
        if (SSL_connect(client->ssl.get()) != 1) give_up("TLS");
        const Key key = key_of(number);
        char known = 0;
        if (kind_ == Kind::Ours)
            greet(*client, key);
        else if (send(*client, key.bytes()); SSL_read(client->ssl.get(), &known, 1) != 1)
            give_up("key");
        fcntl(client->fd.get(), F_SETFL, O_NONBLOCK);
        return client;
    }
    void greet(Client& client, const Key& key) {
        send(client, as_bytes("GET /relay HTTP/1.1\r\nHost: r\r\nConnection: Upgrade\r\n"
                              "Upgrade: cvlan-relay\r\n\r\n"));
        std::string head;
        char byte = 0;
        while (!head.ends_with("\r\n\r\n") && SSL_read(client.ssl.get(), &byte, 1) == 1)
            head += byte;
        Bytes frame;
        put_grant(frame, tenant_.sign(tenant_.grant(1, key, SystemClock().now())));
        send(client, frame);
        FrameReader reader;
        Frame seen;
        while (true) {
            while (reader.next(seen))
                if (seen.type == FrameType::Granted) return;
            const int got =
                SSL_read(client.ssl.get(), piece_.data(), static_cast<int>(piece_.size()));
            if (got <= 0) give_up("grant");
            reader.feed(ByteView(piece_).first(static_cast<size_t>(got)));
        }
    }
    static void send(Client& client, ByteView bytes) {
        size_t put = 0;
        while (!bytes.empty()) {
            if (SSL_write_ex(client.ssl.get(), bytes.data(), bytes.size(), &put) != 1)
                give_up("write");
            bytes = bytes.subspan(put);
        }
    }
    // How many of the other's bursts are there whole.
    size_t receive(Client& client, size_t wanted) {
        size_t got = 0;
        while (SSL_read_ex(client.ssl.get(), piece_.data(), piece_.size(), &got) == 1)
            client.received += got;
        if (SSL_get_error(client.ssl.get(), 0) != SSL_ERROR_WANT_READ) give_up("read");
        const size_t whole = client.received / wanted;
        client.received %= wanted;
        return whole;
    }
    [[noreturn]] static void give_up(const char* what) {
        fmt::print(stderr, "bench_relay: {}: {}\n", what, std::strerror(errno));
        std::exit(1);
    }

    Kind kind_;
    const Relay& relay_;
    const TestTenant& tenant_;
    http::SslCtxPtr context_;
    std::vector<std::unique_ptr<Client>> clients_;
    Bytes piece_ = Bytes(64 * 1024);
};

struct Half {
    Relay relay;
    Clients clients;
    Half(Kind kind, const TestTenant& tenant) : relay(kind, tenant), clients(kind, relay, tenant) {}

    double us_a_packet(size_t payload, size_t burst, std::chrono::milliseconds span) {
        const Mark before = relay.mark();
        clients.talk(payload, burst, span);
        const Mark after = relay.mark();
        return static_cast<double>(after.cpu_us - before.cpu_us) /
               static_cast<double>(after.packets - before.packets);
    }
};

struct Case {
    const char* key;
    size_t payload;
    size_t burst;
};
constexpr Case kCases[] = {{"tls_us_1280", 1280, 1},
                           {"tls_us_148", 148, 1},
                           {"tls_coalesced_us_1280", 1280, 8},
                           {"tls_coalesced_us_148", 148, 8}};

std::string measure_packets(const TestTenant& tenant, std::chrono::milliseconds span, int rounds) {
    Half ours(Kind::Ours, tenant), plain(Kind::Plain, tenant);
    ours.clients.add(kConnections);
    plain.clients.add(kConnections);
    std::string json;
    for (const Case& one : kCases) {
        bench::Pairs pairs{.name = one.key};
        for (Half* half : {&ours, &plain}) half->us_a_packet(one.payload, one.burst, 200ms);
        for (int i = 0; i < 2 * rounds; ++i) {
            const bool is_ours = (i % 4 == 0) || (i % 4 == 3);
            Half& half = is_ours ? ours : plain;
            (is_ours ? pairs.ours : pairs.plain)
                .push_back(half.us_a_packet(one.payload, one.burst, span));
        }
        fmt::print("{:<24} ours {} us, plain {} us, ratio {:.3f}\n", one.key,
                   bench::summary(pairs.ours), bench::summary(pairs.plain), pairs.ratio());
        json += fmt::format(R"("{0}":{1:.3f},"{0}_plain":{2:.3f},"{0}_ratio":{3:.3f},)", one.key,
                            bench::median(pairs.ours), bench::median(pairs.plain), pairs.ratio());
    }
    return json;
}

double kib_a_client(Kind kind, const TestTenant& tenant, size_t count) {
    Half half(kind, tenant);
    half.clients.add(16);  // what is made once is not a client's
    const Mark before = half.relay.mark();
    half.clients.add(count);
    const Mark after = half.relay.mark();
    return static_cast<double>(after.rss_kib - before.rss_kib) / static_cast<double>(count);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        fmt::print(stderr, "usage: bench_relay SECONDS ROUNDS IDLE_CLIENTS [--json]\n");
        return 2;
    }
    pin_to(kLoadCore);
    const TestTenant tenant(1);
    const auto span = std::chrono::milliseconds(static_cast<int64_t>(1000 * std::stod(argv[1])));
    std::string json = "{" + measure_packets(tenant, span, std::stoi(argv[2]));
    const size_t idle = std::stoul(argv[3]);
    const double ours = kib_a_client(Kind::Ours, tenant, idle);
    const double plain = kib_a_client(Kind::Plain, tenant, idle);
    fmt::print("{} idle clients: ours {:.2f} KiB each, plain {:.2f}\n", idle, ours, plain);
    json += fmt::format(R"("tls_kib_per_client":{:.2f},"tls_kib_per_client_plain":{:.2f}}})", ours,
                        plain);
    if (argc > 4) fmt::print("{}\n", json);
    return 0;
}
