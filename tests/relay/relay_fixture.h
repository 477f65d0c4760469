// SPDX-License-Identifier: Apache-2.0
#pragma once

// A relay on a loop of its own thread, and a blocking client on OpenSSL alone.

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop_thread.h"
#include "relay/server.h"
#include "tests/http/raw_client.h"
#include "tests/relay/test_tenant.h"

namespace cvlan::relay::test {

using http::test::RawClient;

// The frames of one session, blocking; ten seconds without any end a test.
class TestClient {
public:
    struct Seen {
        FrameType type{};
        Bytes body;
    };
    TestClient(const Endpoint& at, const TestTenant& tenant, const IssuedCert& own,
               std::string request = {})
        : raw_(at), context_(SSL_CTX_new(TLS_client_method())) {
        use(own);
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), raw_.fd());
        SSL_set_tlsext_host_name(ssl_.get(), tenant.server_name.c_str());
        ERR_clear_error();
        if (SSL_connect(ssl_.get()) != 1) return;
        if (request.empty())
            request =
                "GET /relay HTTP/1.1\r\nHost: r\r\nConnection: Upgrade\r\nUpgrade: "
                "cvlan-relay\r\n\r\n";
        write(as_bytes(request));
        read_head();
    }

    int status() const { return http::test::status_of(head_); }
    const std::string& head() const { return head_; }
    SSL* ssl() { return ssl_.get(); }
    int fd() const { return raw_.fd(); }

    bool write(ByteView bytes) {
        return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
    }
    bool write_frame(FrameType type, ByteView body) {
        Bytes out(kFrameHead);
        write_head(out.data(), type, body.size());
        out.insert(out.end(), body.begin(), body.end());
        return write(out);
    }
    bool send(const Key& to, std::string_view payload) {
        Bytes out;
        put_packet(out, FrameType::Send, {to.bytes(), as_bytes(payload)});
        return write(out);
    }
    bool ping() { return write_frame(FrameType::Ping, Bytes(8, 7)); }

    // The next frame; nothing at the end of the stream.
    std::optional<Seen> next() {
        Frame frame;
        while (!reader_.next(frame)) {
            const int got = SSL_read(ssl_.get(), piece_.data(), static_cast<int>(piece_.size()));
            if (got <= 0) return std::nullopt;
            reader_.feed(ByteView(piece_).first(static_cast<size_t>(got)));
        }
        return Seen{frame.type, {frame.body.begin(), frame.body.end()}};
    }
    // The next one of this type; others before it are left out.
    std::optional<Seen> next(FrameType type) {
        std::optional<Seen> seen = next();
        while (seen && seen->type != type) seen = next();
        return seen;
    }
    // "<first byte of the key>:<payload>" of the next packet.
    std::string packet() {
        const auto seen = next(FrameType::Recv);
        if (!seen) return "";
        const auto packet = parse_packet(seen->body);
        return fmt::format("{}:{}", packet->key[0], as_text(packet->payload));
    }
    // What the relay says to a grant.
    FrameType show(const std::string& signed_grant) {
        write_frame(FrameType::Grant, as_bytes(signed_grant));
        std::optional<Seen> seen = next();
        while (seen && seen->type != FrameType::Granted && seen->type != FrameType::Error)
            seen = next();
        return seen ? seen->type : FrameType{};
    }

private:
    void use(const IssuedCert& own) {
        const std::unique_ptr<BIO, decltype(&BIO_free)> cert(
            BIO_new_mem_buf(own.cert_pem.data(), -1), BIO_free);
        const std::unique_ptr<BIO, decltype(&BIO_free)> key(BIO_new_mem_buf(own.key_pem.data(), -1),
                                                            BIO_free);
        X509* leaf = PEM_read_bio_X509(cert.get(), nullptr, nullptr, nullptr);
        EVP_PKEY* secret = PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr);
        SSL_CTX_use_certificate(context_.get(), leaf);
        SSL_CTX_use_PrivateKey(context_.get(), secret);
        X509_free(leaf);
        EVP_PKEY_free(secret);
    }
    void read_head() {
        char byte = 0;
        while (!head_.ends_with("\r\n\r\n") && SSL_read(ssl_.get(), &byte, 1) == 1) head_ += byte;
    }

    RawClient raw_;
    http::SslCtxPtr context_;
    http::SslPtr ssl_;
    std::string head_;
    FrameReader reader_;
    Bytes piece_ = Bytes(kMostFrame);
};

class TestRelay {
public:
    static ServerLimits quick() {
        ServerLimits limits;
        limits.sweep = std::chrono::milliseconds(20);
        return limits;
    }
    explicit TestRelay(ServerLimits limits = quick()) : TestRelay({&first}, limits) {}
    explicit TestRelay(const std::vector<const TestTenant*>& tenants,
                       ServerLimits limits = quick()) {
        ServerOptions options;
        options.at = *Endpoint::parse("127.0.0.1:0");
        options.limits = limits;
        options.stun = {*Endpoint::parse("192.0.2.1:3478")};
        for (const TestTenant* tenant : tenants) {
            options.tls.emplace(tenant->server_name, tenant->tls());
            options.tenants.push_back(tenant->trust());
        }
        at_ = thread_.call([&] {
            auto made = Server::listen(thread_.loop(), clock, std::move(options));
            EXPECT_TRUE(made) << made.error().message;
            server_ = std::move(*made);
            return server_->endpoint();
        });
    }
    ~TestRelay() {
        thread_.call([&] { server_.reset(); });
    }

    const Endpoint& at() const { return at_; }
    template <class Run>
    auto call(Run run) {
        return thread_.call([&] { return run(*server_); });
    }
    ServerStats stats() {
        return call([](Server& server) { return server.stats(); });
    }
    EventLoop& loop() { return thread_.loop(); }
    // A session with a grant for this key.
    std::unique_ptr<TestClient> client(int node, uint8_t key, const char* network = kNetwork1) {
        auto made = std::make_unique<TestClient>(at_, first, first.node(node));
        EXPECT_EQ(made->show(first.sign(first.grant(node, key_of(key), clock.now(), network))),
                  FrameType::Granted);
        return made;
    }

    const TestTenant first{1};
    ManualClock clock{*from_rfc3339("2026-11-20T12:00:00.000Z")};

private:
    LoopThread thread_;
    std::unique_ptr<Server> server_;
    Endpoint at_;
};

}  // namespace cvlan::relay::test
