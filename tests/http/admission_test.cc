// SPDX-License-Identifier: Apache-2.0
#include "http/admission.h"

#include <gtest/gtest.h>

namespace cvlan::http {
namespace {

using namespace std::chrono_literals;

const Admission::Time kStart{1000s};

TEST(Admission, IsFullUntilSomeHandshakesAreOver) {
    Admission admission(4);
    int64_t tickets[4];
    for (int64_t& ticket : tickets) {
        EXPECT_FALSE(admission.is_full(kStart));
        ticket = admission.begin(kStart);
    }
    EXPECT_TRUE(admission.is_full(kStart));
    admission.end(tickets[0]);
    EXPECT_FALSE(admission.is_full(kStart));
    EXPECT_FALSE(admission.has_room(kStart)) << "not for each single one";
    admission.end(tickets[1]);
    EXPECT_TRUE(admission.has_room(kStart));
}

// F02: who opens connections and says nothing keeps others out for a second at most.
TEST(Admission, ForgetsThoseThatAreSlow) {
    Admission admission(1);
    const int64_t slow = admission.begin(kStart + 10ms);
    EXPECT_TRUE(admission.is_full(kStart + 999ms));
    EXPECT_EQ(Admission::until_next(kStart + 10ms), 990ms);
    EXPECT_FALSE(admission.is_full(kStart + 1s));
    admission.begin(kStart + 1s);
    admission.end(slow);
    EXPECT_TRUE(admission.is_full(kStart + 1s)) << "the slow one took no place of this second";
}

}  // namespace
}  // namespace cvlan::http
