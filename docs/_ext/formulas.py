r"""The formulas of the docstrings, typeset.

Docstrings are read in a terminal, so that their formulas are plain text. On the site
each text below is replaced by its LaTeX: a formula within a line, or a whole indented
block.
"""

BLOCKS = {
    "1/S sum_i w_i rho(t_i, f(z_i)) + alpha / (2 S) |W|^2, S = sum_i w_i,": (
        r"\frac{1}{S} \sum_i w_i \, \rho(t_i, f(z_i))"
        r" + \frac{\alpha}{2 S} \lVert W \rVert^2, \qquad S = \sum_i w_i,"
    ),
    "D = sum_i w_i (l_i - m_i) / W,"
    " s^2 = n / (n - 1) sum_i w_i^2 (l_i - m_i - D)^2 / W^2,": (
        r"D = \frac{1}{W} \sum_i w_i (l_i - m_i), \qquad "
        r"s^2 = \frac{n}{n - 1} \sum_i \frac{w_i^2 (l_i - m_i - D)^2}{W^2},"
    ),
    "c - D + s < e / 2,": r"c - D + s < e / 2,",
    "sqrt((1/J + n_test / n_train) S^2)": (
        r"\sqrt{\left( \frac{1}{J}"
        r" + \frac{n_\mathrm{test}}{n_\mathrm{train}} \right) S^2}"
    ),
    "sum_k t_k (log_a(t_k / m) - x_k) + m (y_k^a - (t_k / m)^a) / a,": (
        r"\sum_k t_k \, (\log_a (t_k / m) - x_k) + \frac{m}{a} (y_k^a - (t_k / m)^a),"
    ),
    "s L(z; t / s) = |s y - t|^2 / (2 s) + sum_k t_k max(tau - z_k, 0)": (
        r"s \, L(z; t / s) = \frac{\lVert s y - t \rVert^2}{2 s}"
        r" + \sum_k t_k \max (\tau - z_k, 0)"
    ),
    "P_k is proportional to s_k (1 - c s_k) with s = softmax(y / T)": (
        r"P_k \propto s_k (1 - c s_k), \qquad s = \mathrm{softmax}(y / T)"
    ),
    "P / (1 - P) = y (g^n / (1 - g) - n g^(n - 1) log(1 - g))"
    " / ((1 - y)^p - p y (1 - y)^(p - 1) log y)": (
        r"\frac{P}{1 - P} ="
        r" \frac{y \left( g^n / (1 - g) - n g^{n - 1} \log (1 - g) \right)}"
        r"{(1 - y)^p - p y (1 - y)^{p - 1} \log y}"
    ),
    "P(C_k | x) = softmax_k(theta_k . x - b(theta_k)),": (
        r"P(C_k | x) = \mathrm{softmax}_k (\theta_k \cdot x - b(\theta_k)),"
    ),
}
LINES = {
    "y = 1 / (1 + exp(-z))": r"y = 1 / (1 + e^{-z})",
    "y = 1 - exp(-exp(z))": r"y = 1 - e^{-e^z}",
    "y = Phi(z)": r"y = \Phi(z)",
    "P(Y <= k) = F(theta_k - eta)": r"P(Y \le k) = F(\theta_k - \eta)",
    "y(z) y(-z) (y(-z) - y(z))": r"y(z) \, y(-z) \, (y(-z) - y(z))",
    "y_k = exp(z_k) / sum_j exp(z_j)": r"y_k = e^{z_k} / \sum_j e^{z_j}",
    "y_k (u_k - sum_j y_j u_j)": r"y_k (u_k - \sum_j y_j u_j)",
    "dy_k (u_k - y.u) - y_k dy.u with dy = J dz": (
        r"dy_k (u_k - y \cdot u) - y_k \, dy \cdot u, \; dy = J \, dz"
    ),
    "y_k = [1 + (alpha - 1) (z_k - s)]_+^(1 / (alpha - 1))": (
        r"y_k = [1 + (\alpha - 1) (z_k - s)]_+^{1 / (\alpha - 1)}"
    ),
    "y = argmin over the simplex of |y - z|^2": (
        r"y = \mathrm{argmin}_{y \in \mathrm{simplex}} \lVert y - z \rVert^2"
    ),
    "rho(t, y) = (t - y)^2 / 2": r"\rho(t, y) = (t - y)^2 / 2",
    "rho(t, y) = t log(t / y)": r"\rho(t, y) = t \log (t / y)",
    "rho(t, y) = t log(t / y) + (1 - t) log((1 - t) / (1 - y))": (
        r"\rho(t, y) = t \log \frac{t}{y} + (1 - t) \log \frac{1 - t}{1 - y}"
    ),
    "t log(t / y) + (1 - t) log((1 - t) / (1 - y))": (
        r"t \log \frac{t}{y} + (1 - t) \log \frac{1 - t}{1 - y}"
    ),
    "-t / y + (1 - t) / (1 - y)": r"-t / y + (1 - t) / (1 - y)",
    "t / y^2 + (1 - t) / (1 - y)^2": r"t / y^2 + (1 - t) / (1 - y)^2",
    "rho(t, y) = -t (1 - y)^gamma log y": r"\rho(t, y) = -t (1 - y)^\gamma \log y",
    "rho(t, y) = t (1 - y^q) / q": r"\rho(t, y) = t (1 - y^q) / q",
    "rho(t, y) = a t log(t / y) - b y log t with log 0 = A": (
        r"\rho(t, y) = a \, t \log (t / y) - b \, y \log t, \; \log 0 = A"
    ),
    "T log(1 + exp((1 - lead_k) / T))": (
        r"T \log \left( 1 + e^{(1 - \mathrm{lead}_k) / T} \right)"
    ),
    "-log(y_k pi_k^tau / sum_j y_j pi_j^tau)": (
        r"-\log \frac{y_k \pi_k^\tau}{\sum_j y_j \pi_j^\tau}"
    ),
    "-log sum_{k in S} y_k": r"-\log \sum_{k \in S} y_k",
    "rho(t, y) = -t (1 - y)^p log y - (1 - t) g^n log(1 - g), g = max(y - m, 0)": (
        r"\rho(t, y) = -t (1 - y)^p \log y - (1 - t) g^n \log (1 - g), \;"
        r" g = \max (y - m, 0)"
    ),
    "delta = mass(t) y - t and H dz = mass(t) J dz": (
        r"\delta = m(t) \, y - t, \; H dz = m(t) \, J dz"
    ),
    "delta = J' rho'(t, y)": r"\delta = J' \rho'(t, y)",
    "delta = D' d rho / d log y, D = d log y / d z": (
        r"\delta = D' \, \partial \rho / \partial \log y, \;"
        r" D = \partial \log y / \partial z"
    ),
    "delta = L' d rho / d l, L = dl / dz": (
        r"\delta = L' \, \partial \rho / \partial l, \;"
        r" L = \partial l / \partial z"
    ),
    "J' (rho''(t, y) J dz) + (dJ') rho'(t, y)": (
        r"J' (\rho''(t, y) \, J dz) + (dJ') \, \rho'(t, y)"
    ),
    "y = 1 / (1 + exp(-a))": r"y = 1 / (1 + e^{-a})",
    "y = (1 + tanh(a / 2)) / 2": r"y = (1 + \tanh (a / 2)) / 2",
    "y (1 - y) (1 - 2 y)": r"y (1 - y) (1 - 2 y)",
    "y = tanh(a)": r"y = \tanh a",
    "-2 y (1 - y^2)": r"-2 y (1 - y^2)",
    "y = max(a, 0)": r"y = \max (a, 0)",
    "y = log(1 + exp(a))": r"y = \log (1 + e^a)",
    "y = a / (1 + exp(-a))": r"y = a / (1 + e^{-a})",
    "y = a P(N(0, 1) <= a)": r"y = a \, P(N(0, 1) \le a)",
    "sqrt(sum_n sum_k (estimated_nk - exact_nk)^2)": (
        r"\sqrt{\sum_n \sum_k (\mathrm{estimated}_{nk} - \mathrm{exact}_{nk})^2}"
    ),
    "P_k proportional to y_k / ((1 - y_k)^g - g y_k (1 - y_k)^(g - 1) log y_k)": (
        r"P_k \propto y_k / ((1 - y_k)^g - g y_k (1 - y_k)^{g - 1} \log y_k)"
    ),
    "P_k proportional to y_k^(1 - q)": r"P_k \propto y_k^{1 - q}",
    "P_k proportional to y_k / (a - b A y_k)": r"P_k \propto y_k / (a - b A y_k)",
    "P_k proportional to s_k (1 - c s_k), s = softmax(y/T), c = 1 - exp(-1/T)": (
        r"P_k \propto s_k (1 - c s_k), \; s = \mathrm{softmax}(y / T), \;"
        r" c = 1 - e^{-1/T}"
    ),
    "P_k proportional to y_k pi_k^tau": r"P_k \propto y_k \pi_k^\tau",
    "P / (1 - P) = -(d off / d y) / (d on / d y)": (
        r"P / (1 - P) = -(\partial \, \mathrm{off} / \partial y)"
        r" / (\partial \, \mathrm{on} / \partial y)"
    ),
    "t log(t / y) over [0, 1]^2": r"t \log (t / y) \; \text{over} \; [0, 1]^2",
}
