// SPDX-License-Identifier: Apache-2.0
#pragma once

// A store on a database of the test's own, and short ways to fill it.

#include <gtest/gtest.h>

#include <atomic>

#include "base/bytes.h"
#include "tests/support/test_store.h"

namespace cvlan::store {

class StoreTest : public testing::Test {
protected:
    StoreTest() { open(); }

    void open() {
        store_.reset();
        auto opened = place_.open(clock_);
        ASSERT_TRUE(opened) << opened.error().message;
        store_ = std::move(*opened);
        store_->on_event([this](const Event& event) { events_.push_back(event); });
    }

    std::string id() const { return new_uuid(unix_ms(clock_.now())); }

    std::string tenant(const std::string& name) {
        NewTenant wanted{id(), name, {{KeyPurpose::Token, "aa" + name, "cHVi"}}};
        auto made = store_->create_tenant(wanted);
        EXPECT_TRUE(made) << made.error().message;
        return made->id;
    }

    Result<model::Network> try_network(const std::string& tenant_id, const std::string& name,
                                       const std::string& ipv4, const std::string& ipv6 = "") {
        NewNetwork wanted{tenant_id, name, {}, {}, ipv6 == "auto", 1420};
        if (!ipv4.empty()) wanted.ipv4 = *Prefix::parse(ipv4);
        if (!ipv6.empty() && ipv6 != "auto") wanted.ipv6 = *Prefix::parse(ipv6);
        return store_->create_network(wanted);
    }
    model::Network network(const std::string& tenant_id, const std::string& name,
                           const std::string& ipv4, const std::string& ipv6 = "") {
        auto made = try_network(tenant_id, name, ipv4, ipv6);
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }

    model::Object new_tag(const std::string& tenant_id, const std::string& name) {
        auto made = store_->objects().create({tenant_id, {}, model::ObjectKind::Tag, name, ""});
        EXPECT_TRUE(made) << made.error().message;
        return *made;
    }

    model::TokenClaims token(const model::Network& network, int64_t uses = 1,
                             std::chrono::hours life = std::chrono::hours(24)) {
        model::TokenClaims claims;
        claims.id = id();
        claims.tenant_id = network.tenant_id;
        claims.network_id = network.id;
        claims.expires_at = clock_.now() + life;
        claims.uses = uses;
        claims.nonce = random_bytes(32);
        auto made = store_->create_token(claims, {});
        EXPECT_TRUE(made) << made.error().message;
        return claims;
    }

    static Enrolment enrolment(const model::TokenClaims& token,
                               const std::string& hostname = "host") {
        Enrolment request;
        request.joining = {token, base64(random_bytes(32)), 51820, {}};
        request.tls_key_hash = hex(random_bytes(32));
        request.inventory.hostname = hostname;
        return request;
    }
    Result<Enrolled> enrol(const Enrolment& request) {
        return store_->enrol(request, [this](const Key&) -> Result<CertificateRow> {
            return CertificateRow{hex(random_bytes(16)), clock_.now() + std::chrono::days(30)};
        });
    }
    Enrolled enrolled(const Enrolment& request) {
        auto done = enrol(request);
        EXPECT_TRUE(done) << done.error().message;
        return *done;
    }
    static Key key_of(const model::Node& node) { return {node.tenant_id, node.id}; }

    test::TestStore place_;
    ManualClock clock_{from_unix_ms(1'700'000'000'000)};
    std::vector<Event> events_;
    std::unique_ptr<Store> store_;
};

// Expects a failure of this code whose message holds this text.
#define EXPECT_FAILS(result, expected_code, text)                              \
    do {                                                                       \
        const auto& failed_result = (result);                                  \
        ASSERT_FALSE(failed_result);                                           \
        EXPECT_EQ(failed_result.error().code, expected_code);                  \
        EXPECT_NE(failed_result.error().message.find(text), std::string::npos) \
            << failed_result.error().message;                                  \
    } while (false)

}  // namespace cvlan::store
