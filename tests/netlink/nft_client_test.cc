// SPDX-License-Identifier: Apache-2.0
#include "netlink/nft_client.h"

#include <gmock/gmock.h>
#include <linux/netfilter/nfnetlink.h>

#include <cerrno>

#include "tests/support/netlink_script.h"
#include "tests/support/nft_recorded.h"

namespace cvlan::netlink::nft {
namespace {

using testing::HasSubstr;
using tests::ack;
using tests::done;
using tests::kernel_message;
using tests::nft_recorded;
using Answers = std::vector<tests::Script::Answer>;

// A kernel that has nftables and answers what comes after the client's first question by `respond`.
Client client_of(tests::Script::Respond respond) {
    auto socket = tests::scripted(
        [respond = std::move(respond), asked = false](ByteView sent, uint32_t seq) mutable {
            if (asked) return respond(sent, seq);
            asked = true;
            return Answers{{ack(seq)}};
        });
    return Client::over(std::move(socket)).value();
}

TEST(NftClient, AKernelWithoutNftablesIsUnsupportedAndSaysHowToLoadIt) {
    auto client = Client::over(
        tests::scripted([](ByteView, uint32_t seq) { return Answers{{ack(seq, EINVAL)}}; }));
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, Code::Unsupported);
    EXPECT_THAT(client.error().message, HasSubstr("modprobe nf_tables"));
    auto denied = Client::over(
        tests::scripted([](ByteView, uint32_t seq) { return Answers{{ack(seq, EPERM)}}; }));
    EXPECT_EQ(denied.error().code, Code::Denied);
}

TEST(NftClient, SaysWhichPartOfABatchWasRefused) {
    auto client =
        client_of([](ByteView, uint32_t seq) { return Answers{{ack(seq + 2, EOPNOTSUPP)}}; });
    Batch batch("t");
    batch.add_table("x");
    batch.add_chain({"pre"});
    const auto refused = client.commit(std::move(batch));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Unsupported);
    EXPECT_THAT(refused.error().message, HasSubstr("nft: add chain pre: "));
}

TEST(NftClient, AnEmptyBatchIsNotSent) {
    auto client = client_of([](ByteView, uint32_t) -> Answers {
        ADD_FAILURE();
        return {};
    });
    EXPECT_TRUE(client.commit(Batch("t")));
}

TEST(NftClient, ReadsWhatTheKernelDumps) {
    auto client = client_of([](ByteView, uint32_t seq) {
        const Bytes elements = kernel_message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM,
                                              NLM_F_MULTI, seq, nft_recorded("dump_elements"));
        return Answers{{elements}, {elements}, {done(seq)}};
    });
    EXPECT_EQ(client.elements("t", "m")->size(), 2u);
}

TEST(NftClient, WhatCanNotBeReadIsMalformed) {
    auto client = client_of([](ByteView, uint32_t seq) {
        return Answers{{kernel_message(NFNL_SUBSYS_NFTABLES << 8, NLM_F_MULTI, seq, Bytes{1})},
                       {done(seq)}};
    });
    EXPECT_EQ(client.elements("t", "m").error().code, Code::Malformed);
    EXPECT_EQ(client.rules("t", "c").error().code, Code::Malformed);
    EXPECT_EQ(client.table("t").error().code, Code::Malformed);
    EXPECT_EQ(client.element("t", "m", Bytes{1}).error().code, Code::Malformed);
    auto silent = client_of([](ByteView, uint32_t seq) { return Answers{{ack(seq)}}; });
    EXPECT_EQ(silent.element("t", "m", Bytes{1}).error().code, Code::Malformed);
}

}  // namespace
}  // namespace cvlan::netlink::nft
