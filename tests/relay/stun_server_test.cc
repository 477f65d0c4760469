// SPDX-License-Identifier: Apache-2.0
// What strangers get on the relay's UDP ports: an answer to a Binding request, and never more bytes
// than they sent.
#include "relay/stun_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <random>

#include "base/loop_thread.h"
#include "relay/pairs.h"
#include "stun/builder.h"
#include "tests/relay/fake_pair_host.h"
#include "tests/relay/relay_fixture.h"

namespace cvlan::relay::test {
namespace {

using namespace std::chrono_literals;

// A node's UDP socket.
class UdpClient {
public:
    explicit UdpClient(const Endpoint& server) : fd_(socket(server.address.af(), SOCK_DGRAM, 0)) {
        sockaddr_storage storage{};
        const socklen_t size = server.to_sockaddr(storage);
        EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
    }
    void send(ByteView bytes) { (void)!::send(fd_.get(), bytes.data(), bytes.size(), 0); }
    // What comes within so long.
    Bytes receive(std::chrono::milliseconds wait = 5s) {
        pollfd ready{fd_.get(), POLLIN, 0};
        if (poll(&ready, 1, static_cast<int>(wait.count())) != 1) return {};
        Bytes bytes(2048);
        const ssize_t got = recv(fd_.get(), bytes.data(), bytes.size(), 0);
        bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
        return bytes;
    }
    Endpoint own() const {
        sockaddr_storage storage{};
        socklen_t size = sizeof storage;
        getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&storage), &size);
        return *Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size);
    }

private:
    UniqueFd fd_;
};

class TestStun {
public:
    explicit TestStun(const char* address = "127.0.0.1", StunServer::Bind bind = nullptr) {
        thread_.call([&] {
            server_ = std::make_unique<StunServer>(thread_.loop(), std::move(bind));
            auto port = server_->listen({*Address::parse(address), 0});
            ASSERT_TRUE(port) << port.error().message;
            at_ = {*Address::parse(address), *port};
        });
    }
    ~TestStun() {
        thread_.call([&] { server_.reset(); });
    }
    const Endpoint& at() const { return at_; }
    template <class Run>
    auto call(Run run) {
        return thread_.call([&] { return run(*server_); });
    }
    StunStats stats() {
        return call([](StunServer& server) { return server.stats(); });
    }

private:
    LoopThread thread_;
    std::unique_ptr<StunServer> server_;
    Endpoint at_;
};

Bytes binding() {
    Bytes request(stun::kBindingRequestSize);
    const auto built = stun::binding_request(request, stun::random_transaction());
    request.resize(built.size());
    return request;
}

TEST(AStunServer, TellsWhereARequestCameFrom) {
    for (const char* address : {"127.0.0.1", "::1"}) {
        TestStun server(address);
        UdpClient client(server.at());
        const Bytes request = binding();
        client.send(request);
        const Bytes answer = client.receive();
        const auto message = stun::Message::parse(answer);
        ASSERT_TRUE(message);
        EXPECT_TRUE(message->is(stun::Class::Success, stun::Method::Binding));
        EXPECT_EQ(message->mapped(), client.own());
        EXPECT_EQ(message->transaction(), stun::Message::parse(request)->transaction());
        EXPECT_LE(answer.size(), request.size());
    }
}

TEST(AStunServer, AnswersManyAtOnceEachWithItsOwn) {
    TestStun server;
    UdpClient client(server.at());
    std::set<stun::TransactionId> asked;
    for (int i = 0; i < 100; ++i) {
        const Bytes request = binding();
        asked.insert(stun::Message::parse(request)->transaction());
        client.send(request);
    }
    for (int i = 0; i < 100; ++i)
        asked.erase(stun::Message::parse(client.receive())->transaction());
    EXPECT_TRUE(asked.empty());
}

TEST(AStunServer, SaysWhichAttributesItDoesNotKnow) {
    TestStun server;
    UdpClient client(server.at());
    Bytes request(stun::kMostMessage);
    const auto built = stun::Builder(request, stun::Class::Request, stun::Method::Binding,
                                     stun::random_transaction())
                           .software(std::string(40, ' '))
                           .finish();
    request.resize(built->size());
    request[stun::kHeaderSize] = 0x00;  // SOFTWARE becomes 0x0022, which a reader must know
    client.send(request);
    const Bytes answer = client.receive();
    const auto message = stun::Message::parse(answer);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->error_code()->code, 420);
    ASSERT_EQ(message->refused().types().size(), 1u);
    EXPECT_EQ(message->refused().types()[0], 0x0022);
}

TEST(AStunServer, NeverAnswersMoreBytesThanItGot) {
    TestStun server;
    UdpClient client(server.at());
    Bytes bare(stun::kHeaderSize);
    const auto built =
        stun::Builder(bare, stun::Class::Request, stun::Method::Binding, stun::random_transaction())
            .finish();
    ASSERT_EQ(built->size(), stun::kHeaderSize);
    client.send(bare);
    client.send(binding());
    // The first that comes back is the second's.
    EXPECT_GT(client.receive().size(), stun::kHeaderSize);
    EXPECT_EQ(server.stats().bindings, 1u);
}

TEST(AStunServer, IsSilentToWhatIsNoRequest) {
    TestStun server;
    UdpClient client(server.at());
    for (const auto what : {stun::Class::Indication, stun::Class::Success, stun::Class::Error}) {
        Bytes bytes(200);
        const auto built =
            stun::Builder(bytes, what, stun::Method::Binding, stun::random_transaction())
                .mapped(*Endpoint::parse("192.0.2.1:1"))
                .finish();
        client.send(*built);
    }
    client.send({});
    client.send(Bytes(2000, 0x55));
    client.send(binding());
    EXPECT_FALSE(client.receive().empty());
    EXPECT_EQ(server.stats().bindings, 1u);
}

TEST(AStunServer, GivesLessThanItGetsWhateverComes) {
    const auto much = [](const stun::Message&, const Endpoint&, const Endpoint&,
                         std::span<uint8_t> answer) {
        return answer.size();  // a handler that is wrong about it
    };
    TestStun server("127.0.0.1", much);
    UdpClient client(server.at());
    std::mt19937 random(1);
    for (int i = 0; i < 20'000; ++i) {
        Bytes bytes = i % 3 == 0 ? binding() : Bytes(random() % 200);
        if (i % 3 == 1)
            for (auto& byte : bytes) byte = static_cast<uint8_t>(random());
        if (i % 3 == 0) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
        if (i % 3 == 2 && bytes.size() >= 20) {
            const Bytes good = binding();
            std::copy_n(good.begin(), 20, bytes.begin());
            bytes[0] = static_cast<uint8_t>(random() % 4);
            bytes[3] = static_cast<uint8_t>(bytes.size() - 20);
        }
        client.send(bytes);
    }
    client.send(binding());
    const StunStats stats = server.stats();
    EXPECT_LE(stats.bytes_out, stats.bytes_in);
}

Bytes bind_request(const Offer& offer, std::string_view nonce) {
    Bytes bytes(stun::kMostMessage);
    stun::Builder builder(bytes, stun::Class::Request, stun::Method::Bind,
                          stun::random_transaction());
    builder.username(hex(offer.bind_id));
    if (!nonce.empty()) builder.nonce(nonce);
    bytes.resize(builder.integrity(offer.secret.bytes()).fingerprint().finish().value().size());
    return bytes;
}

// All of it: two nodes in TLS sessions, their binds by UDP, and a kernel that is told.
TEST(APairOfNodes, BecomesReadyByTheRelay) {
    TestRelay relay;
    FakePairHost kernel;
    std::unique_ptr<StunServer> stun;
    std::unique_ptr<Pairs> pairs;
    relay.call([&](Server& server) {
        stun = std::make_unique<StunServer>(
            relay.loop(),
            [&](const stun::Message& request, const Endpoint& from, const Endpoint& to,
                std::span<uint8_t> answer) { return pairs->bind(request, from, to, answer); });
        Pairs::Hooks hooks{[&](uint64_t session, ByteView frames) { server.tell(session, frames); },
                           [&](uint16_t port) { return stun->open_port(port); },
                           [&](uint16_t port) { stun->close_port(port); }};
        // Far from the ports that others on this machine are given.
        PairLimits limits{20'480, 20'735};
        pairs = std::make_unique<Pairs>(relay.clock, kernel, std::move(hooks),
                                        std::vector{*Address::parse("127.0.0.1")}, limits);
        server.set_pair_desk(pairs.get());
    });
    const auto a = relay.client(1, 0xa1), b = relay.client(2, 0xb2);
    std::vector<UdpClient> sockets;
    for (TestClient* client : {a.get(), b.get()}) {
        const bool is_a = client == a.get();
        Bytes ask;
        put_pair(ask,
                 is_a ? PairOf{key_of(0xa1), key_of(0xb2)} : PairOf{key_of(0xb2), key_of(0xa1)});
        client->write(ask);
        const auto seen = client->next(FrameType::Offer);
        ASSERT_TRUE(seen);
        const auto offer = parse_offer(seen->body);
        sockets.emplace_back(Endpoint{offer->addresses.at(0), offer->port});
        sockets.back().send(bind_request(*offer, ""));
        const Bytes first = sockets.back().receive();
        const auto stale = stun::Message::parse(first);
        ASSERT_TRUE(stale && stale->nonce());
        sockets.back().send(bind_request(*offer, *stale->nonce()));
        const Bytes answer = sockets.back().receive();
        const auto message = stun::Message::parse(answer);
        ASSERT_TRUE(message);
        EXPECT_EQ(message->mapped(), sockets.back().own());
    }
    for (TestClient* client : {a.get(), b.get()}) {
        const auto ready = client->next(FrameType::Ready);
        ASSERT_TRUE(ready);
        EXPECT_EQ(parse_ready(ready->body)->at.address.text(), "127.0.0.1");
    }
    relay.call([&](Server& server) {
        ASSERT_EQ(kernel.held.size(), 1u);
        EXPECT_EQ(kernel.held[0].first, sockets[0].own());
        EXPECT_EQ(kernel.held[0].second, sockets[1].own());
        server.set_pair_desk(nullptr);
        pairs.reset();
        stun.reset();
    });
}

}  // namespace
}  // namespace cvlan::relay::test
