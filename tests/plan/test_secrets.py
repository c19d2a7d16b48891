from __future__ import annotations

import pytest

from tfserve.plan.secrets import hidden_variables, is_secret

NAMES = """
SECRET MY_SECRET_VALUE API_TOKEN HF_TOKEN PASSWORD PGPASSWORD DB_PASSWD DB_PASS PASS1 AWS_SECRET_ACCESS_KEY API_KEY
APIKEY apikey PRIVATE GOOGLE_CREDENTIALS AUTH BASIC_AUTH COOKIE JWT GITHUB_PAT SENTRY_DSN MYSQL_PWD SESSION SSL_CERT
my_token PIN LICENSE CONNECTION_STRING SLACK_WEBHOOK ACCESS SIGNING_SALT OTP SAS CREDS
"""


@pytest.mark.parametrize("name", NAMES.split())
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name, "x")


@pytest.mark.parametrize(
    "value",
    [
        *(
            "postgres://me:pw@host/db",
            "https://token@host/",
            "https://host/x?sig=abc",
            "https://host/?a=1&access_token=x",
        ),
        *(
            "-----BEGIN RSA PRIVATE KEY-----\nabc",
            "Bearer abc",
            "ghp_abc",
            "sk-abc",
            "hf_abc",
            "AKIAABCDEF",
            "eyJhbGciOi",
        ),
        *("9f86d081884c7d659a2feaa0c55ad015", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1", "host=db password=x"),
    ],
)
def test_values_that_look_like_secrets(value: str) -> None:
    assert is_secret("URL", value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("A", "$(id)"),
            ("QUOTED", 'it\'s "x" $(y) `z` \\ \n'),
            ("GREETING", "a b$(c)'d\"e"),
            ("MODEL_NAME", "sk-model-v1-0123456789-abc"),
        ),
        *(("TF_CPP_MIN_LOG_LEVEL", "2"), ("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false"), ("OMP_NUM_THREADS", "4")),
        *(
            ("LD_LIBRARY_PATH", "/usr/local/cuda-12.4/lib64:/opt/x86_64"),
            ("TZ", "Europe/Helsinki"),
            ("EMPTY_TOKEN", ""),
        ),
        *(("PROXY", "http://proxy:3128"), ("MALLOC_ARENA_MAX", "2"), ("PWD_", ""), ("PASSAGE", "a"), ("COMPASS", "x")),
        *(("GOOGLE_APPLICATION_CREDENTIALS", "/run/secrets/google_application_credentials"), ("OPINION", "1")),
        *(
            ("NVIDIA_VISIBLE_DEVICES", "GPU-00000000-aaaa-bbbb-cccc-000000000000"),
            ("CUDA_VISIBLE_DEVICES", "all"),
            ("S3_ENDPOINT", "http://minio:9000"),
        ),
    ],
)
def test_ordinary_variables(name: str, value: str) -> None:
    assert not is_secret(name, value)


def test_hidden_variables() -> None:
    assert hidden_variables({"A": "1", "TOKEN": "2", "DATABASE_URL": "x://a:b@c"}) == ["TOKEN", "DATABASE_URL"]
