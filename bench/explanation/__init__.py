"""headrace bench explanation: our occlusion beside LIME and SHAP, on the same parts, answers and texts."""
