// SPDX-License-Identifier: Apache-2.0
#include "http/lookup.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <utility>

namespace cvlan::http {

namespace {

Result<std::vector<Address>> addresses_of(int error, const evutil_addrinfo* list,
                                          const std::string& name) {
    if (error != 0) {
        const bool is_none = error == EVUTIL_EAI_NONAME || error == EVUTIL_EAI_NODATA;
        return fail(is_none ? Code::NotFound : Code::Unavailable, "resolve {}: {}", name,
                    evutil_gai_strerror(error));
    }
    std::vector<Address> addresses;
    for (const auto* one = list; one; one = one->ai_next) {
        const auto endpoint =
            Endpoint::from_sockaddr(one->ai_addr, static_cast<socklen_t>(one->ai_addrlen));
        if (endpoint) addresses.push_back(endpoint->address);
    }
    return addresses;
}

}  // namespace

// A resolver of its own, so that a changed resolv.conf counts. evdns calls back some time after a
// cancellation, perhaps when the Lookup is gone, and for a name of /etc/hosts within the call that
// asks: this outlives the Lookup, and tells it from the loop.
struct Lookup::Question {
    Lookup* owner;
    event_base* base;
    std::string name;
    evdns_base* dns = nullptr;
    evdns_getaddrinfo_request* request = nullptr;
    bool is_answered = false;
    Result<std::vector<Address>> addresses{};

    static void answered(int error, evutil_addrinfo* list, void* self) {
        auto* question = static_cast<Question*>(self);
        question->request = nullptr;
        question->is_answered = true;
        question->addresses = addresses_of(error, list, question->name);
        if (list) evutil_freeaddrinfo(list);
        question->end_soon();
    }
    // Not here: evdns is still using it, or the Lookup is being made.
    void end_soon() {
        const timeval soon{0, 0};
        event_base_once(
            base, -1, EV_TIMEOUT, [](evutil_socket_t, short, void* it) { end(it); }, this, &soon);
    }
    static void end(void* self) {
        const std::unique_ptr<Question> question(static_cast<Question*>(self));
        if (question->dns) evdns_base_free(question->dns, 0);
        Lookup* owner = question->owner;
        if (!owner) return;
        owner->question_ = nullptr;
        const Done done = std::move(owner->done_);
        done(std::move(question->addresses));  // may destroy the Lookup
    }
};

Lookup::Lookup(EventLoop& loop, const std::string& name, int af, Done done)
    : question_(new Question{this, loop.base(), name}), done_(std::move(done)) {
    question_->dns = evdns_base_new(loop.base(), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!question_->dns) {
        question_->addresses = fail(Code::Unavailable, "resolve {}: no resolver", name);
        question_->end_soon();
        return;
    }
    // Without that file it asks 127.0.0.1, as resolv.conf(5) says.
    (void)evdns_base_resolv_conf_parse(question_->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    evutil_addrinfo hints{};
    hints.ai_family = af;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_protocol = IPPROTO_TCP;
    auto* request = evdns_getaddrinfo(question_->dns, name.c_str(), nullptr, &hints,
                                      Question::answered, question_);
    if (request && !question_->is_answered) question_->request = request;
}

Lookup::~Lookup() {
    if (!question_) return;
    question_->owner = nullptr;
    if (question_->request) evdns_getaddrinfo_cancel(question_->request);
}

}  // namespace cvlan::http
