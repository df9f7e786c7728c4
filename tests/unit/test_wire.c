#include "daemon/wire.h"

#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A message whose length and content say its number. */
static size_t encode_number(int number, uint8_t **ret)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__TrainJob job = QZD__TRAIN_JOB__INIT;
    char text[64];
    size_t size = 0;

    memset(text, 'a' + number, sizeof(text));
    text[number % 13] = '\0';
    job.job = text;
    job.state_dir = (char *)"";
    message.what_case = QZD__TO_CHILD__WHAT_TRAIN_JOB;
    message.train_job = &job;
    ck_assert_int_eq(wire_encode(&message.base, ret, &size, NULL), 0);
    return size;
}

static void check_number(const uint8_t *frame, size_t size, int number)
{
    uint8_t *wanted = NULL;
    size_t wanted_size = encode_number(number, &wanted);

    ck_assert_uint_eq(size + 4, wanted_size);
    ck_assert_mem_eq(frame, wanted + 4, size);
    free(wanted);
}

START_TEST(frames_come_out_whole_however_the_stream_is_cut)
{
    uint8_t stream[1024];
    size_t total = 0;
    for (int i = 0; i < 20; i++) {
        uint8_t *bytes = NULL;
        size_t size = encode_number(i, &bytes);
        memcpy(stream + total, bytes, size);
        total += size;
        free(bytes);
    }
    for (size_t piece = 1; piece <= total; piece++) {
        struct wire_decoder decoder = {0};
        int n = 0;
        for (size_t at = 0; at < total; at += piece) {
            const uint8_t *frame = NULL;
            size_t size = 0;
            size_t length = at + piece < total ? piece : total - at;
            ck_assert_int_eq(wire_decoder_feed(&decoder, stream + at, length, NULL), 0);
            while (wire_decoder_next(&decoder, &frame, &size, NULL) == 1) {
                check_number(frame, size, n++);
            }
        }
        ck_assert_int_eq(n, 20);
        wire_decoder_finish(&decoder);
    }
}
END_TEST

START_TEST(lengths_of_nothing_and_above_the_limit_are_refused_before_memory_is_taken)
{
    static const uint32_t lengths[] = {0, WIRE_MAX_BYTES + 1, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct wire_decoder decoder = {0};
        struct error err = {.text = ""};
        const uint8_t *frame = NULL;
        size_t size = 0;
        uint8_t header[4];
        for (int k = 0; k < 4; k++) {
            header[k] = (uint8_t)(lengths[i] >> (8 * k));
        }
        ck_assert_int_eq(wire_decoder_feed(&decoder, header, 4, NULL), 0);
        ck_assert_int_eq(wire_decoder_next(&decoder, &frame, &size, &err), ERROR_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, "4194304"));
        ck_assert_uint_lt(decoder.capacity, 100000);
        wire_decoder_finish(&decoder);
    }
}
END_TEST

START_TEST(message_above_the_limit_is_not_sent)
{
    Qzd__ToChild message = QZD__TO_CHILD__INIT;
    Qzd__TrainJob job = QZD__TRAIN_JOB__INIT;
    uint8_t *bytes = NULL;
    size_t size = 0;
    char *text = malloc(WIRE_MAX_BYTES + 1);
    memset(text, 'x', WIRE_MAX_BYTES);
    text[WIRE_MAX_BYTES] = '\0';
    job.job = text;
    job.state_dir = (char *)"";
    message.what_case = QZD__TO_CHILD__WHAT_TRAIN_JOB;
    message.train_job = &job;
    ck_assert_int_eq(wire_encode(&message.base, &bytes, &size, NULL), ERROR_INVALID);
    text[WIRE_MAX_BYTES - 64] = '\0';
    ck_assert_int_eq(wire_encode(&message.base, &bytes, &size, NULL), 0);
    ck_assert_uint_gt(size, WIRE_MAX_BYTES - 64);
    free(bytes);
    free(text);
}
END_TEST

START_TEST(pipe_carries_messages_and_tells_its_end)
{
    int ends[2];
    struct wire_decoder decoder = {0};
    const uint8_t *frame = NULL;
    size_t size = 0;
    Qzd__FromChild message = QZD__FROM_CHILD__INIT;
    Qzd__CoreTime core_time = QZD__CORE_TIME__INIT;
    core_time.ms = 77;
    message.what_case = QZD__FROM_CHILD__WHAT_CORE_TIME;
    message.core_time = &core_time;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(wire_receive(ends[0], 0, &decoder, NULL), 0);
    ck_assert_int_eq(wire_send(ends[1], &message.base, NULL, NULL, NULL), 0);
    ck_assert_int_eq(wire_receive(ends[0], 1000, &decoder, NULL), 1);
    ck_assert_int_eq(wire_decoder_next(&decoder, &frame, &size, NULL), 1);
    Qzd__FromChild *got = qzd__from_child__unpack(NULL, size, frame);
    ck_assert_uint_eq(got->core_time->ms, 77);
    qzd__from_child__free_unpacked(got, NULL);
    ck_assert_int_eq(close(ends[1]), 0);
    ck_assert_int_eq(wire_receive(ends[0], 1000, &decoder, NULL), ERROR_NOT_FOUND);
    ck_assert_int_eq(close(ends[0]), 0);
    wire_decoder_finish(&decoder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire");
    TCase *tcase = tcase_create("wire");

    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, frames_come_out_whole_however_the_stream_is_cut);
    tcase_add_test(tcase,
                   lengths_of_nothing_and_above_the_limit_are_refused_before_memory_is_taken);
    tcase_add_test(tcase, message_above_the_limit_is_not_sent);
    tcase_add_test(tcase, pipe_carries_messages_and_tells_its_end);
    return run_suite(suite);
}
